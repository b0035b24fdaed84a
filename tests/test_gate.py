"""Fail closed: what the gate lets out, and what not."""

import cv2
import numpy as np
import pytest

from mirage_rtc.badge import I420
from mirage_rtc.gate import BLUR_HELD_S, FREEZE_S, FailPolicy, PictureGate, SoundGate, blur, card
from models.engines import FaceBox

SWAPPED = (FaceBox(x_px=10, y_px=200, width_px=50, height_px=60, score=0.9, swapped=True),)
BLURRED = (FaceBox(x_px=10, y_px=200, width_px=50, height_px=60, score=0.9, swapped=False),)


class Hands:
    """A clock that is set by hand."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _picture(value: int = 90) -> I420:
    return np.full((384, 256), value, np.uint8)


def _gate(policy: FailPolicy = "card") -> tuple[PictureGate, Hands, list[str]]:
    clock, kinds = Hands(), list[str]()
    return PictureGate(policy=policy, clock=clock, on_kind=kinds.append), clock, kinds


def test_a_picture_in_which_nobody_wears_the_identity_does_not_pass() -> None:
    """No face, or only blurred ones: not let through."""
    gate, _, kinds = _gate()

    assert gate.swapped(_picture(), (), capture_s=1.0, generation=0) is None
    assert gate.swapped(_picture(), BLURRED, capture_s=1.0, generation=0) is None
    assert kinds == []


def test_a_swapped_picture_passes_with_the_badge() -> None:
    """What passes is stamped."""
    gate, _, kinds = _gate()
    safe = gate.swapped(_picture(), SWAPPED, capture_s=1.0, generation=0)

    assert safe is not None
    assert safe.kind == "live"
    assert (safe.i420 != 90).any()
    assert kinds == ["live"]


def test_the_last_good_picture_stands_in_for_500_ms_then_the_card() -> None:
    """Frozen up to the limit, the card after it, and the good picture does not come back."""
    gate, clock, kinds = _gate()
    gate.swapped(_picture(), SWAPPED, capture_s=1.0, generation=0)
    clock.now_s += FREEZE_S
    gate.fallback((256, 256))
    clock.now_s += 0.01
    gate.fallback((256, 256))
    clock.now_s -= 0.1
    gate.fallback((256, 256))

    assert kinds == ["live", "frozen", "card", "card"]


def test_before_the_first_swap_there_is_only_the_card() -> None:
    """A session's first frames are covered."""
    gate, _, _ = _gate()
    safe = gate.fallback((256, 256), _picture(200))

    assert np.array_equal(safe.i420, card(256, 256))


def test_a_raw_picture_needs_passthrough_and_the_same_generation() -> None:
    """Off: nothing. On: only pictures taken since. Off again: nothing."""
    gate, _, _ = _gate()
    assert gate.raw(_picture(), capture_s=1.0, generation=0) is None
    gate.passthrough = True
    gate.flush()

    assert gate.raw(_picture(), capture_s=1.0, generation=0) is None
    assert gate.raw(_picture(), capture_s=1.0, generation=1) is not None
    gate.passthrough = False
    assert gate.raw(_picture(), capture_s=1.0, generation=1) is None


def test_flush_forgets_the_last_good_picture_and_refuses_older_results() -> None:
    """After a change of identity neither the frozen picture nor a late result of the former one passes."""
    gate, _, _ = _gate()
    gate.swapped(_picture(), SWAPPED, capture_s=1.0, generation=0)
    gate.flush()

    assert gate.fallback((256, 256)).kind == "card"
    assert gate.swapped(_picture(), SWAPPED, capture_s=1.0, generation=0) is None


def test_the_blur_policy_knows_no_more_than_16_by_16_pixels() -> None:
    """Two raw pictures with the same 16x16 means blur to the same picture."""
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 255, (384, 256), dtype=np.uint8)
    shuffled = raw.copy()
    block = shuffled[:16, :16].reshape(-1)
    rng.shuffle(block)
    shuffled[:16, :16] = block.reshape(16, 16)

    assert not np.array_equal(raw, shuffled)
    assert np.array_equal(blur(raw), blur(shuffled))


def test_the_blur_policy_keeps_the_light() -> None:
    """The blurred picture is the raw one's mean brightness, not a card."""
    gate, _, _ = _gate("blur")
    safe = gate.fallback((256, 256), _picture(200))

    assert safe.kind == "card"
    assert abs(float(safe.i420.mean()) - 200) < 2


def test_the_blur_policy_shows_one_picture_for_five_seconds_however_often_it_is_asked() -> None:
    """Many would make a sharper one. Nor another after a swap between, a flush, or for another size."""
    gate, clock, _ = _gate("blur")
    first = gate.fallback((256, 256), _picture(200))
    assert gate.swapped(_picture(), SWAPPED, capture_s=1.0, generation=0) is not None
    gate.flush()
    clock.now_s += BLUR_HELD_S - 0.01
    again = gate.fallback((256, 256), _picture(100))
    larger = gate.fallback((512, 512), np.full((768, 512), 100, np.uint8))
    clock.now_s += 0.02
    later = gate.fallback((256, 256), _picture(100))

    assert np.array_equal(first.i420, again.i420)
    assert np.array_equal(larger.i420, card(512, 512))
    assert abs(float(later.i420.mean()) - 100) < 2


@pytest.mark.parametrize(("width_px", "height_px"), [(512, 512), (64, 64), (908, 512)])
def test_the_card_says_something(width_px: int, height_px: int) -> None:
    """The card is drawn at every size and is not one flat colour."""
    bgr = cv2.cvtColor(card(width_px, height_px), cv2.COLOR_YUV2BGR_I420)

    assert bgr.shape == (height_px, width_px, 3)
    assert bgr.std() > 1


def test_sound_of_a_former_generation_is_silence() -> None:
    """A hop asked for before a flush leaves as silence of the same length."""
    gate = SoundGate(on_kind=lambda _: None)
    gate.flush()
    sound = gate.converted(np.ones(960, np.float32), capture_s=0.0, generation=0)

    assert sound.kind == "silent"
    assert len(sound.samples) == 960
    assert not sound.samples.any()


def test_raw_sound_needs_passthrough() -> None:
    """Off: silence. On: the samples. Muted: silence."""
    gate, hop = SoundGate(on_kind=lambda _: None), np.ones(960, np.float32)
    assert gate.raw(hop, capture_s=0.0, generation=0).kind == "silent"
    gate.passthrough = True
    assert gate.raw(hop, capture_s=0.0, generation=0).kind == "passthrough"
    gate.muted = True
    assert gate.raw(hop, capture_s=0.0, generation=0).kind == "silent"


def test_sound_that_is_no_number_is_silence() -> None:
    """NaN from an engine never reaches the encoder."""
    gate = SoundGate(on_kind=lambda _: None)

    assert gate.converted(np.full(960, np.nan, np.float32), capture_s=0.0, generation=0).kind == "silent"


BARE = (*SWAPPED, FaceBox(x_px=100, y_px=200, width_px=50, height_px=60, score=0.9, swapped=False, untouched=True))


def test_a_picture_with_an_untouched_face_is_raw() -> None:
    """It passes while passthrough is on and under no other circumstances, and it never stands in for a later one."""
    gate, _, kinds = _gate()
    for faces in (BARE, BARE[1:]):
        assert gate.swapped(_picture(), faces, capture_s=1.0, generation=0) is None
    gate.passthrough = True
    safe = gate.swapped(_picture(), BARE, capture_s=1.0, generation=0)
    assert safe is not None
    assert safe.kind == "passthrough"
    assert gate.fallback((256, 256)).kind == "card"
    gate.passthrough = False
    gate.flush()
    assert gate.swapped(_picture(), BARE, capture_s=1.0, generation=0) is None
    assert kinds == ["passthrough", "card"]
