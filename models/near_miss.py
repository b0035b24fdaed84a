"""Why a file that somebody wants to import is none of the catalogue's, as far as can be told. Part of `models.store`.

Many exports of the same networks go round under like names; here one of each is used, or two.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from models.model_spec import ModelSpec

# How names of a kind begin, in small letters and digits, and the file of that kind which is used.
_KINDS = {
    "arcface": "w600k_r50.onnx",
    "w600k": "w600k_r50.onnx",
    "inswapper": "inswapper_128_fp16.onnx",
    "codeformer": "codeformer.pth",
    "gfpgan": "GFPGANv1.4.onnx",
    "gpen": "GPEN-BFR-256.onnx",
    "xseg": "xseg_3.onnx",
    "dflxseg": "xseg_3.onnx",
    "bisenet": "bisenet_resnet_34.onnx",
    "faceparsing": "bisenet_resnet_34.onnx",
    "contentvec": "contentvec.bin",
    "hubert": "contentvec.bin",
}


def sentence(path: Path, specs: Sequence[ModelSpec]) -> str:
    """What `path` is not, and of a file with a name or size of the catalogue's what it has and what was wanted."""
    told = [_differing(path, spec) for spec in specs if _near(path, spec)] or _kind(path, specs)
    return " ".join(
        [f"{path} holds no file of the catalogue.", *told, "`mirage-rtc models list` shows what is needed."]
    )


def _near(path: Path, spec: ModelSpec) -> bool:
    size = path.stat().st_size
    return path.name.lower() == spec.name.lower() or size in {pin.bytes for pin in spec.pins}


def _differing(path: Path, spec: ModelSpec) -> str:
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    wanted = " or ".join(f"{pin.bytes} bytes with SHA-256 {pin.sha256}" for pin in spec.pins)
    return f"It has {path.stat().st_size} bytes with SHA-256 {found}, and {spec.name} has {wanted}."


def _kind(path: Path, specs: Sequence[ModelSpec]) -> list[str]:
    """Of another export of a network: which one is used."""
    plain = "".join(letter for letter in path.name.lower() if letter.isalnum())
    names = {spec.name for spec in specs}
    used = [name for start, name in _KINDS.items() if plain.startswith(start) and name in names]
    return [f"Of its kind {used[0]} is used, and no other."] if used else []
