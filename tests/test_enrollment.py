"""Portraits from strangers against the real face engine: each bad one is a coded sentence, and calls go on."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mirage_rtc.consent import ConsentForm
from mirage_rtc.errors import BadInput, MirageError, TooLarge
from models.engines import Frame
from tests import media
from tests.call_parts import VOICE, registry
from tests.live_calls import face_lane

FORM = ConsentForm(attested_by="A", subject_name="B", relation="permission", purpose="test", attests=True)


def _png(frame: Frame) -> bytes:
    return cv2.imencode(".png", frame)[1].tobytes()


def _faceless() -> bytes:
    """Blurred noise: nobody."""
    noise = np.random.default_rng(1).integers(0, 255, (320, 320, 3), dtype=np.uint8)
    return _png(np.asarray(cv2.GaussianBlur(noise, (0, 0), 9), dtype=np.uint8))


def _two_faces() -> bytes:
    return _png(np.hstack([media.still("man_a"), media.still("woman_a")]))


def _enormous() -> bytes:
    """A JPEG whose header says 200 megapixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (14_142).to_bytes(2, "big") * 2
    return bytes(data)


BAD: list[tuple[bytes, type[MirageError], str]] = [
    (_faceless(), BadInput, "portrait_no_face"),
    (_two_faces(), BadInput, "portrait_several_faces"),
    (_png(media.still("man_a"))[:2000], BadInput, "picture_corrupt"),
    (_enormous(), TooLarge, "picture_too_large"),
    (bytes(2 << 20), TooLarge, "picture_too_large"),
]


async def test_bad_portraits_are_refused_with_a_sentence_and_a_good_one_is_worn(tmp_path: Path) -> None:
    """No face, two faces, a torn file, 200 megapixels, too many bytes; then one good face."""
    async with registry(tmp_path, face=face_lane(), voice=VOICE) as (calls, vault):
        for data, kind, code in BAD:
            with pytest.raises(kind) as refused:
                await vault.enroll("x", [data], FORM)
            assert refused.value.code == code
            assert refused.value.sentence.endswith(".")
        card = await vault.enroll("x", [_png(media.still("woman_a"))], FORM)
        assert calls.engines().ready

    assert card.kind == "portrait"
    assert card.receipt_id is not None
