"""The faces a caller may wear: masks for all, portraits only for their owner, consent before use, memory only."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mirage_rtc.consent import ConsentForm, ConsentLedger
from mirage_rtc.errors import BadInput, MirageError, NotFound, TooMany
from mirage_rtc.identities import PORTRAIT_LONGEST_PX, IdentityVault
from mirage_rtc.pictures import decode_picture, encode_jpeg
from models.engines import Frame

CONSENT = ConsentForm(attested_by="Ada", subject_name="Grace", relation="permission", purpose="a call", attests=True)


@dataclass(frozen=True, slots=True)
class PlainMask:
    """A mask with nothing drawn on it."""

    name: str
    title: str = "Porcelain"
    description: str = "A smooth white face."


class Inspector:
    """Stands where the face engine looks at a portrait: accepts, refuses, or waits to be let go."""

    def __init__(self) -> None:
        self.seen: list[Frame] = []
        self.entered = asyncio.Event()
        self.refusal: MirageError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, portraits: tuple[Frame, ...]) -> None:
        self.seen.extend(portraits)
        self.entered.set()
        await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture
def inspector() -> Inspector:
    """One per test."""
    return Inspector()


@pytest.fixture
def forgotten() -> list[str]:
    """Ids of the portraits that engines were told to drop."""
    return []


@pytest.fixture
def vault(tmp_path: Path, inspector: Inspector, forgotten: list[str]) -> IdentityVault:
    """Two masks, two portraits a person."""
    return IdentityVault(
        masks=(PlainMask("porcelain"), PlainMask("bronze")),
        draw_mask=lambda name, size_px: np.full((size_px, size_px, 3), len(name), np.uint8),
        ledger=ConsentLedger(tmp_path / "consent.jsonl", b"k" * 32),
        inspect=inspector,
        max_portraits=2,
        max_bytes=1 << 20,
        max_pixels=4_000_000,
        on_forgotten=forgotten.append,
    )


def portrait(width_px: int = 60, height_px: int = 80) -> bytes:
    """A picture file."""
    return encode_jpeg(np.full((height_px, width_px, 3), 90, np.uint8), 90)


def kinds(folder: Path) -> list[str]:
    """What the consent ledger tells, in order."""
    path = folder / "consent.jsonl"
    return [json.loads(line)["kind"] for line in path.read_text().splitlines()] if path.exists() else []


def test_everyone_has_the_masks_and_the_first_is_worn(vault: IdentityVault) -> None:
    """A mask needs no consent and belongs to nobody."""
    assert [card.id for card in vault.list("ada")] == ["mask:porcelain", "mask:bronze"]
    assert vault.default_id == "mask:porcelain"
    source = vault.source("ada", "mask:bronze")
    assert (source.kind, source.name, source.portrait) == ("mask", "bronze", None)


async def test_a_portrait_is_inspected_recorded_and_then_listed(
    vault: IdentityVault, inspector: Inspector, tmp_path: Path
) -> None:
    """The receipt is on the disk when the card is handed out; the frame is what the engine was shown."""
    card = await vault.enroll("ada", [portrait()], CONSENT)
    assert kinds(tmp_path) == ["granted"]
    assert card.receipt_id is not None
    assert card.receipt_id in (tmp_path / "consent.jsonl").read_text()
    assert vault.list("ada")[-1] == card
    assert card.title == "Grace"
    source = vault.source("ada", card.id)
    assert source.kind == "portrait"
    assert source.portrait is inspector.seen[0]


async def test_a_portrait_is_its_owner_s_alone(vault: IdentityVault) -> None:
    """Another subject can neither list, wear, see nor remove it."""
    card = await vault.enroll("ada", [portrait()], CONSENT)
    assert card.id not in [other.id for other in vault.list("eve")]
    for use in (vault.source, vault.thumbnail, vault.remove):
        with pytest.raises(NotFound) as caught:
            use("eve", card.id)
        assert caught.value.code == "identity_not_found"


async def test_a_refused_portrait_leaves_no_receipt_and_no_card(
    vault: IdentityVault, inspector: Inspector, tmp_path: Path
) -> None:
    """The engine's refusal reaches the caller as it is."""
    inspector.refusal = BadInput("portrait_no_face", "No face was found.")
    with pytest.raises(BadInput, match="No face"):
        await vault.enroll("ada", [portrait()], CONSENT)
    assert kinds(tmp_path) == []
    assert len(vault.list("ada")) == 2


async def test_a_portrait_without_consent_is_not_used(vault: IdentityVault, tmp_path: Path) -> None:
    """An unticked box refuses it, however good the picture."""
    unticked = ConsentForm(attested_by="A", subject_name="B", relation="self", purpose="c", attests=False)
    with pytest.raises(BadInput) as caught:
        await vault.enroll("ada", [portrait()], unticked)
    assert caught.value.code == "consent_missing"
    assert len(vault.list("ada")) == 2


async def test_a_damaged_picture_never_reaches_the_engine(vault: IdentityVault, inspector: Inspector) -> None:
    """The guards of `pictures` come first."""
    with pytest.raises(BadInput) as caught:
        await vault.enroll("ada", [portrait()[:200]], CONSENT)
    assert caught.value.code == "picture_corrupt"
    assert inspector.seen == []


async def test_a_large_portrait_is_scaled_down_before_it_is_held(vault: IdentityVault, inspector: Inspector) -> None:
    """Memory is bounded by the longer side."""
    await vault.enroll("ada", [portrait(2000, 1000)], CONSENT)
    assert inspector.seen[0].shape == (PORTRAIT_LONGEST_PX // 2, PORTRAIT_LONGEST_PX, 3)


async def test_the_third_of_two_allowed_portraits_is_refused(vault: IdentityVault) -> None:
    """Even when all three arrive at once; after a removal there is room again."""
    results = await asyncio.gather(
        *(vault.enroll("ada", [portrait()], CONSENT) for _ in range(3)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, TooMany)]
    assert [error.code for error in refused] == ["portraits_full"]
    vault.remove("ada", vault.list("ada")[-1].id)
    await vault.enroll("ada", [portrait()], CONSENT)
    await vault.enroll("eve", [portrait()], CONSENT)


async def test_a_removed_portrait_is_gone_and_its_receipt_revoked(
    vault: IdentityVault, tmp_path: Path, forgotten: list[str]
) -> None:
    """It cannot be worn, shown or removed again, and the engines are told to drop it."""
    card = await vault.enroll("ada", [portrait()], CONSENT)
    vault.remove("ada", card.id)
    assert forgotten == [card.id]
    assert kinds(tmp_path) == ["granted", "revoked"]
    with pytest.raises(NotFound):
        vault.source("ada", card.id)
    with pytest.raises(NotFound):
        vault.remove("ada", card.id)


async def test_the_end_of_the_last_session_forgets_every_portrait(vault: IdentityVault, tmp_path: Path) -> None:
    """All receipts are revoked; another subject's portraits stay."""
    await vault.enroll("ada", [portrait()], CONSENT)
    await vault.enroll("ada", [portrait()], CONSENT)
    await vault.enroll("eve", [portrait()], CONSENT)
    vault.forget("ada")
    vault.forget("nobody")
    assert kinds(tmp_path) == ["granted"] * 3 + ["revoked"] * 2
    assert len(vault.list("ada")) == 2
    assert len(vault.list("eve")) == 3


async def test_a_portrait_accepted_after_its_call_ended_is_not_kept(
    vault: IdentityVault, inspector: Inspector, tmp_path: Path
) -> None:
    """A slow inspection does not outlive the session: the receipt is revoked at once."""
    inspector.gate.clear()
    enrolling = asyncio.create_task(vault.enroll("ada", [portrait()], CONSENT))
    await inspector.entered.wait()
    vault.forget("ada")
    inspector.gate.set()
    with pytest.raises(NotFound):
        await enrolling
    assert kinds(tmp_path) == ["granted", "revoked"]
    assert len(vault.list("ada")) == 2


async def test_a_full_disk_does_not_keep_a_portrait(vault: IdentityVault, tmp_path: Path) -> None:
    """The portrait is forgotten although the revocation cannot be written."""
    card = await vault.enroll("ada", [portrait()], CONSENT)
    (tmp_path / "consent.jsonl").unlink()
    (tmp_path / "consent.jsonl").mkdir()
    vault.forget("ada")
    with pytest.raises(NotFound):
        vault.source("ada", card.id)


async def test_thumbnails_are_small_jpegs(vault: IdentityVault) -> None:
    """For masks and portraits alike."""
    card = await vault.enroll("ada", [portrait(900, 1200)], CONSENT)
    sizes = [
        decode_picture(vault.thumbnail("ada", identity), max_bytes=1 << 20, max_pixels=1 << 20).shape[:2]
        for identity in ("mask:bronze", card.id)
    ]
    assert sizes == [(256, 256), (256, 192)]


async def test_several_pictures_of_a_person_are_one_identity(
    vault: IdentityVault, inspector: Inspector, tmp_path: Path
) -> None:
    """Inspected together, worn together, under one receipt that knows each of them."""
    card = await vault.enroll("ada", [portrait(), portrait(80, 60), portrait(50, 50)], CONSENT)
    source = vault.source("ada", card.id)
    assert source.portrait is inspector.seen[0]
    assert [one is other for one, other in zip(source.more, inspector.seen[1:], strict=True)] == [True, True]
    (receipt,) = map(json.loads, (tmp_path / "consent.jsonl").read_text().splitlines())
    assert len({receipt["portrait_hmac"], *receipt["further_hmacs"]}) == 3


async def test_how_many_pictures_an_identity_takes(vault: IdentityVault) -> None:
    """None is none, nine are too many."""
    for count in (0, 9):
        with pytest.raises(BadInput) as refused:
            await vault.enroll("ada", [portrait()] * count, CONSENT)
        assert refused.value.code == "pictures_count"


async def test_a_damaged_picture_among_several_is_named(vault: IdentityVault) -> None:
    """By its number."""
    with pytest.raises(BadInput, match="Picture 2: "):
        await vault.enroll("ada", [portrait(), portrait()[:200]], CONSENT)
