"""Writes `web/src/protocol.d.ts` from `protocol.py` and `http_answers.py`: the page is checked against the real wire.

Run `python -m signaling.page_types` after a change of the protocol; a test fails while the file is stale.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from signaling import http_answers, protocol

HEADER = """// Generated from signaling/protocol.py by `python -m signaling.page_types`. Do not edit.
"""
TARGET = Path(__file__).resolve().parent.parent / "web" / "src" / "protocol.d.ts"

_ROOTS = {
    "ClientMessage": protocol.ClientMessage,
    "ServerMessage": protocol.ServerMessage,
    "Problem": http_answers.Problem,
    "Admission": http_answers.Admission,
    "Gallery": http_answers.Gallery,
    "VoiceReference": http_answers.VoiceReference,
    "SavedVoices": http_answers.SavedVoices,
    "SessionView": http_answers.SessionView,
}
_PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def render() -> str:
    """The whole declaration file."""
    schemas, components = msgspec.json.schema_components(_ROOTS.values(), ref_template="{name}")
    unions = [
        f"export type {name} = {_type(schema)};"
        for name, schema in zip(_ROOTS, schemas, strict=True)
        if name not in components
    ]
    interfaces = [_interface(name, schema) for name, schema in sorted(components.items())]
    constants = [
        f"export type ProtocolVersion = {protocol.VERSION};",
        f"export type Subprotocol = {json.dumps(protocol.SUBPROTOCOL)};",
    ]
    return "\n".join([HEADER, *constants, *unions, "", "\n\n".join(interfaces), ""])


def _interface(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    fields = (
        f"  {field}{'' if field in required else '?'}: {_type(value)};" for field, value in schema["properties"].items()
    )
    note = f"/** {schema['description']} */\n" if "description" in schema else ""
    return f"{note}export interface {name} {{\n" + "\n".join(fields) + "\n}"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"])
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if schema["type"] == "array":
        return f"({_type(schema['items'])})[]"
    return _PLAIN[schema["type"]]


def main() -> None:
    """Write the file."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
