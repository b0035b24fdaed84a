"""The mapping on the wire: there and back, and what is out of bounds."""

import json

import pytest

from mirage_rtc.errors import BadInput
from mirage_rtc.face_mapping import MAX_ENTRIES, CallMapping, MappedPerson
from signaling import mapping_message, protocol

ENTRY = {"reference": "portrait:1", "wears": "mask:visor"}


def sent(**fields: object) -> CallMapping:
    """What a session is told for a message."""
    message = protocol.decode(json.dumps({"type": "set_mapping", **fields}))
    assert isinstance(message, mapping_message.SetMapping)
    return mapping_message.to_call(message)


def test_a_mapping_goes_there_and_back() -> None:
    """Blurred is no identity for the session, and a word on the wire."""
    told = sent(entries=[ENTRY, {"reference": "portrait:2", "wears": "blur", "threshold": 0.6}], others="swap")
    assert told == CallMapping(
        entries=(
            MappedPerson(reference="portrait:1", wears="mask:visor"),
            MappedPerson(reference="portrait:2", wears=None, threshold=0.6),
        ),
        others="swap",
    )
    assert mapping_message.to_call(mapping_message.from_call(told)) == told


def test_others_are_blurred_unless_it_is_said_otherwise() -> None:
    """A client that says only who wears what shows nobody else."""
    assert sent(entries=[ENTRY]).others == "blur"
    assert sent() == CallMapping(others="blur")


@pytest.mark.parametrize(
    "fields",
    [
        {"entries": [ENTRY] * (MAX_ENTRIES + 1)},
        {"entries": [ENTRY | {"threshold": 0.1}]},
        {"entries": [ENTRY | {"threshold": 1.0}]},
        {"entries": [{"reference": "portrait:1"}]},
        {"others": "raw"},
    ],
    ids=["many", "low", "high", "nothing worn", "others"],
)
def test_what_is_out_of_bounds_is_refused(fields: dict[str, object]) -> None:
    """A threshold that strangers reach above all."""
    with pytest.raises(BadInput):
        sent(**fields)
