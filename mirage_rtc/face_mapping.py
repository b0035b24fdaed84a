"""Who of the people before one camera wears what: a call's mapping in ids, what it may ask for, and how it shrinks.

Sessions hold one and resolve it into what the face lane follows; `signaling` writes it on the wire. A mapping only ever
loses what it showed: an identity that is removed, or a passthrough that is withdrawn, leaves people blurred.
"""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from mirage_rtc.errors import BadInput, Forbidden, MirageError, NotFound
from models.engines import FaceMapping, IdentitySource, MappedFace, Others

MAX_ENTRIES = 8
THRESHOLD = 0.45
"""Cosine to a reference from which a face is that person's: in the corpus (the assets of the tests)
strangers reach 0.21, and one person in two recordings falls to 0.86."""
THRESHOLD_MIN, THRESHOLD_MAX = 0.35, 0.9

SourceOf = Callable[[str], IdentitySource]
"""The identity of an id. Raises NotFound "identity_not_found"."""


class MappedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks like the portrait `reference` wears `wears`, both ids; None is blurred."""

    reference: str
    wears: str | None
    threshold: float = THRESHOLD


class CallMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A call's mapping. The default names nobody and has everybody wear the call's identity: no mapping at all."""

    entries: tuple[MappedPerson, ...] = ()
    others: Others = "swap"
    lock: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether everybody wears the call's identity, so that nobody need be recognised."""
        return not self.entries and self.others == "swap"


def blind() -> MirageError:
    """For a face engine that cannot tell people apart."""
    return BadInput(
        "mapping_needs_neural",
        "This server's face engine cannot tell people apart: everybody wears the one face. "
        "Ask its operator for the neural engine.",
    )


def shrunk() -> MirageError:
    """For a mapping of which somebody's portrait is gone."""
    return BadInput(
        "mapping_shrunk", "A face of this mapping was removed: whom it concerns is blurred until you set it again."
    )


def require_allowed(mapping: CallMapping, *, recognises: bool, granted: bool) -> None:
    """Raises BadInput "mapping_needs_neural" or "mapping_twice", or Forbidden "passthrough_not_granted".

    `granted` says that the token allows passthrough. Others who are to be left as they are may be named before it is
    on, or whoever is to be covered would be raw between the switch and the mapping.
    """
    if mapping.is_plain:
        return
    if not recognises:
        raise blind()
    references = [entry.reference for entry in mapping.entries]
    if len(set(references)) < len(references):
        raise BadInput("mapping_twice", "A portrait stands twice in this mapping: say once what that person wears.")
    if mapping.others == "passthrough" and not granted:
        raise Forbidden("passthrough_not_granted", "This link does not allow anybody's own face to be sent.")


def resolved(mapping: CallMapping, source_of: SourceOf) -> FaceMapping | None:
    """What the face lane follows; None when nobody need be recognised.

    Raises NotFound "identity_not_found", or BadInput "mapping_reference" for a reference that is nobody's portrait.
    """
    if mapping.is_plain:
        return None
    return FaceMapping(
        faces=tuple(_face(entry, source_of) for entry in mapping.entries), others=mapping.others, lock=mapping.lock
    )


def without(mapping: CallMapping, identity_id: str) -> CallMapping:
    """The mapping after an identity is gone: who wore it is blurred; when it was a reference, so are all others."""
    kept = [entry for entry in mapping.entries if entry.reference != identity_id]
    entries = tuple(
        msgspec.structs.replace(entry, wears=None) if entry.wears == identity_id else entry for entry in kept
    )
    others: Others = mapping.others if len(kept) == len(mapping.entries) else "blur"
    return msgspec.structs.replace(mapping, entries=entries, others=others)


def held(mapping: CallMapping, source_of: SourceOf) -> CallMapping:
    """The mapping without every identity that is not there any more: several may go before anybody is told of one."""
    named = [name for entry in mapping.entries for name in (entry.reference, entry.wears) if name is not None]
    for identity_id in named:
        try:
            source_of(identity_id)
        except NotFound:
            mapping = without(mapping, identity_id)
    return mapping


def covered(mapping: CallMapping) -> CallMapping:
    """The mapping after passthrough was switched off: nobody is left as they are."""
    return msgspec.structs.replace(mapping, others="blur") if mapping.others == "passthrough" else mapping


def followed(mapping: FaceMapping | None, others: Others, *, passing: bool) -> FaceMapping | None:
    """What the face lane follows with such `others`, made of what it follows now: this may not fail for what is gone.

    Who is to be left as they are is blurred unless passthrough is on for the face (`passing`).
    """
    others = "blur" if others == "passthrough" and not passing else others
    return mapping if mapping is None or mapping.others == others else replace(mapping, others=others)


def audited(mapping: CallMapping) -> dict[str, str | bool]:
    """The fields of its audit event: random ids only."""
    return {
        "references": " ".join(entry.reference for entry in mapping.entries),
        "wears": " ".join(entry.wears or "blur" for entry in mapping.entries),
        "others": mapping.others,
    }


def _face(entry: MappedPerson, source_of: SourceOf) -> MappedFace:
    reference = source_of(entry.reference)
    if reference.kind != "portrait":
        raise BadInput(
            "mapping_reference", "People are recognised by a portrait of their own: a mask is nobody. Upload one first."
        )
    wears = None if entry.wears is None else source_of(entry.wears)
    return MappedFace(reference=reference, wears=wears, threshold=entry.threshold)
