"""The faces a caller may wear: built-in masks, which are nobody, and portraits uploaded with a consent form.

Portraits live here in memory, per subject, and nowhere else: a restart, a removal or the end of the subject's last
session forgets them, and each leaves a revocation in the consent ledger. Called by signaling and by sessions.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from mirage_rtc.consent import ConsentForm, ConsentLedger
from mirage_rtc.errors import BadInput, MirageError, NotFound, TooMany, Unavailable
from mirage_rtc.pictures import decode_picture, encode_jpeg, shrink
from models.engines import Frame, IdentitySource
from models.portrait_rules import MAX_PICTURES

logger = logging.getLogger(__name__)

PORTRAIT_LONGEST_PX = 1280
THUMBNAIL_PX = 256
THUMBNAIL_QUALITY = 85

Inspect = Callable[[tuple[Frame, ...]], Awaitable[None]]
"""Raises `BadInput` when portraits do not each hold exactly one usable face, all of one person."""


class Mask(Protocol):
    """What the gallery needs to know of a built-in mask."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityCard:
    """One entry of the gallery. `id` is "mask:<name>" or "portrait:<random>"."""

    id: str
    kind: Literal["mask", "portrait"]
    title: str
    description: str
    receipt_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portrait:
    card: IdentityCard
    receipt_id: str
    frames: tuple[Frame, ...]


Cards = list[IdentityCard]


class IdentityVault:
    """All identities of all subjects; the first mask is what a new call wears."""

    def __init__(
        self,
        *,
        masks: tuple[Mask, ...],
        draw_mask: Callable[[str, int], Frame],
        ledger: ConsentLedger,
        inspect: Inspect,
        max_portraits: int,
        max_bytes: int,
        max_pixels: int,
        on_forgotten: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_forgotten` is told the id of every portrait that goes, so that engines drop what they made of it."""
        self._masks = {card.id: card for card in map(_mask_card, masks)}
        self._draw_mask = draw_mask
        self._ledger = ledger
        self._inspect = inspect
        self._max_portraits = max_portraits
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._on_forgotten = on_forgotten
        self._portraits: dict[str, dict[str, _Portrait]] = {}
        self._mask_thumbnails: dict[str, bytes] = {}
        self._enrolling = asyncio.Lock()  # one large picture in memory at a time, and an exact count of portraits

    @property
    def default_id(self) -> str:
        """The identity of a new call."""
        return next(iter(self._masks))

    def list(self, subject: str) -> Cards:
        """The masks, then the subject's own portraits, oldest first."""
        return [*self._masks.values(), *(held.card for held in self._portraits.get(subject, {}).values())]

    async def enroll(self, subject: str, pictures: Sequence[bytes], consent: ConsentForm) -> IdentityCard:
        """Accept portraits of one person of `subject`'s: guards, one face in each, consent on record, then memory.

        Raises what `decode_picture`, the injected inspection and `ConsentLedger.append` raise, `TooMany`
        "portraits_full" and `BadInput` "pictures_count".
        """
        _require_some(pictures)
        async with self._enrolling:
            shelf = self._shelf(subject)
            frames = await asyncio.to_thread(self._decode_all, pictures)
            await self._inspect(frames)
            receipt = await asyncio.to_thread(self._ledger.append, consent, *pictures)
        held = _portrait(consent, receipt.receipt_id, frames)
        shelf[held.card.id] = held
        if self._portraits.get(subject) is not shelf:  # forgotten meanwhile: the subject's last session ended
            self._revoke(held)
            raise NotFound("session_not_found", "The call ended before the portrait was accepted.")
        return held.card

    def remove(self, subject: str, identity_id: str) -> None:
        """Forget one portrait and revoke its receipt. A mask is nobody's: `NotFound`, as for an unknown id."""
        held = self._held(subject, identity_id)
        del self._portraits[subject][identity_id]
        self._revoke(held)

    def source(self, subject: str, identity_id: str) -> IdentitySource:
        """What a face engine prepares. Raises `NotFound` "identity_not_found", for another subject's portrait too."""
        if identity_id in self._masks:
            return IdentitySource(kind="mask", name=identity_id.removeprefix("mask:"))
        first, *more = self._held(subject, identity_id).frames
        return IdentitySource(kind="portrait", name=identity_id, portrait=first, more=tuple(more))

    def thumbnail(self, subject: str, identity_id: str) -> bytes:
        """A JPEG of at most 256 px. Raises `NotFound` "identity_not_found"."""
        if identity_id not in self._masks:
            return encode_jpeg(shrink(self._held(subject, identity_id).frames[0], THUMBNAIL_PX), THUMBNAIL_QUALITY)
        if identity_id not in self._mask_thumbnails:
            drawn = self._draw_mask(identity_id.removeprefix("mask:"), THUMBNAIL_PX)
            self._mask_thumbnails[identity_id] = encode_jpeg(drawn, THUMBNAIL_QUALITY)
        return self._mask_thumbnails[identity_id]

    def forget(self, subject: str) -> None:
        """Forget every portrait of a subject, at the end of their last session."""
        for held in self._portraits.pop(subject, {}).values():
            self._revoke(held)

    def _revoke(self, held: _Portrait) -> None:
        """Tell and record a removal that has already happened; a full disk must not keep a call from ending."""
        self._on_forgotten(held.card.id)
        try:
            self._ledger.revoke(held.receipt_id)
        except Unavailable:
            logger.exception("revocation not recorded", extra={"receipt_id": held.receipt_id})

    def _decode_all(self, pictures: Sequence[bytes]) -> tuple[Frame, ...]:
        """Every picture; of several, the first that cannot be read is named."""
        frames: list[Frame] = []
        for number, picture in enumerate(pictures, start=1):
            try:
                frames.append(self._decode(picture))
            except MirageError as fault:
                if len(pictures) > 1:
                    raise type(fault)(fault.code, f"Picture {number}: {fault.sentence}") from None
                raise
        return tuple(frames)

    def _decode(self, picture: bytes) -> Frame:
        frame = decode_picture(picture, max_bytes=self._max_bytes, max_pixels=self._max_pixels)
        return shrink(frame, PORTRAIT_LONGEST_PX)

    def _shelf(self, subject: str) -> dict[str, _Portrait]:
        shelf = self._portraits.setdefault(subject, {})
        if len(shelf) >= self._max_portraits:
            sentence = f"You hold {len(shelf)} portraits, which is all that is allowed: remove one first."
            raise TooMany("portraits_full", sentence)
        return shelf

    def _held(self, subject: str, identity_id: str) -> _Portrait:
        held = self._portraits.get(subject, {}).get(identity_id)
        if held is None:
            raise _not_found()
        return held


def _mask_card(mask: Mask) -> IdentityCard:
    return IdentityCard(id=f"mask:{mask.name}", kind="mask", title=mask.title, description=mask.description)


def _require_some(pictures: Sequence[bytes]) -> None:
    if not 1 <= len(pictures) <= MAX_PICTURES:
        raise BadInput("pictures_count", f"An identity is made of 1 to {MAX_PICTURES} pictures of one person.")


def _portrait(consent: ConsentForm, receipt_id: str, frames: tuple[Frame, ...]) -> _Portrait:
    made_of = "" if len(frames) == 1 else f" of {len(frames)} pictures"
    card = IdentityCard(
        id=f"portrait:{secrets.token_hex(8)}",
        kind="portrait",
        title=consent.subject_name.strip(),
        description=f"Your portrait{made_of}, held in memory until the call ends.",
        receipt_id=receipt_id,
    )
    return _Portrait(card=card, receipt_id=receipt_id, frames=frames)


def _not_found() -> NotFound:
    return NotFound("identity_not_found", "There is no such identity: choose another from the gallery.")
