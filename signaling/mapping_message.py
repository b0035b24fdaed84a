"""The part of the protocol that says who of several people wears what, and its way to a session's values and back.

`protocol.py` takes the message into its union and the choice into a call's state; `dispatch.py` and `views.py` copy.
"""

from typing import Annotated, Literal

import msgspec

from mirage_rtc.face_mapping import MAX_ENTRIES, THRESHOLD, THRESHOLD_MAX, THRESHOLD_MIN, CallMapping, MappedPerson

Others = Literal["blur", "swap", "passthrough"]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
BLUR = "blur"
"""Stands for an identity where a person is to be blurred."""


class MappingEntry(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who looks like the portrait `reference`, by a cosine of `threshold`, wears the identity `wears`, or "blur"."""

    reference: Id
    wears: Id
    threshold: Annotated[float, msgspec.Meta(ge=THRESHOLD_MIN, le=THRESHOLD_MAX)] = THRESHOLD


class MappingChoice(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who wears what; everybody else is blurred, wears the call's identity ("swap"), or is left alone ("passthrough").

    No entries and "swap" is no mapping. With `lock` a face that was recognised keeps its part until it is contradicted.
    """

    entries: Annotated[tuple[MappingEntry, ...], msgspec.Meta(max_length=MAX_ENTRIES)] = ()
    others: Others = "blur"
    lock: bool = True


class SetMapping(MappingChoice, tag="set_mapping", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Follow this mapping from the next picture. "passthrough" needs the grant; while it is off, others are blurred."""


def to_call(message: MappingChoice) -> CallMapping:
    """The session's value of a message."""
    entries = tuple(
        MappedPerson(
            reference=entry.reference, wears=None if entry.wears == BLUR else entry.wears, threshold=entry.threshold
        )
        for entry in message.entries
    )
    return CallMapping(entries=entries, others=message.others, lock=message.lock)


def from_call(mapping: CallMapping) -> MappingChoice:
    """The wire's value of a session's."""
    entries = tuple(
        MappingEntry(reference=entry.reference, wears=entry.wears or BLUR, threshold=entry.threshold)
        for entry in mapping.entries
    )
    return MappingChoice(entries=entries, others=mapping.others, lock=mapping.lock)
