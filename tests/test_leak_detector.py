"""The leak detector catches what it must and nothing else, on real codecs."""

from typing import Literal

import cv2
import numpy as np
import pytest

from models.engines import Frame, Samples, VoiceSettings
from models.world_voice_engine import WorldVoiceEngine
from tests import media
from tests.codecs import OPUS_DELAY, PACKET, opus_round_trip, video_round_trip
from tests.leak_detector import FACE_LEAK, FaceWatch, VoiceWatch
from tests.media import Box, Clip

INJECTED = 50
VOICED_RMS = 0.06
"""A packet that carries voice: within 3 dB of the speech's mean level, which is 0.08."""


def _converted(clip: Clip, other: Clip, count: int) -> list[Frame]:
    """Another person's face pasted over the sender's, moving and lit like it, with the sender's own eyes and mouth."""
    return [_pasted(clip.frames[i % len(clip.frames)], clip.faces[i % len(clip.faces)], other, i) for i in range(count)]


def _pasted(frame: Frame, faces: tuple[Box, ...], other: Clip, index: int) -> Frame:
    out = frame.copy()
    a0, b0, a1, b1 = (max(0, round(edge)) for edge in other.faces[index % len(other.faces)][0])
    for face in faces:
        x0, y0, x1, y1 = (max(0, round(edge)) for edge in face)
        roi = out[y0:y1, x0:x1].astype(np.float32)
        height, width = roi.shape[:2]
        worn = cv2.resize(other.frames[index % len(other.frames)][b0:b1, a0:a1], (width, height)).astype(np.float32)
        worn = (worn - worn.mean((0, 1))) * (roi.std((0, 1)) / worn.std((0, 1))) + roi.mean((0, 1))
        mask = _paste_mask(width, height)
        out[y0:y1, x0:x1] = np.clip(roi * (1 - mask) + worn * mask, 0, 255).astype(np.uint8)
    return out


def _paste_mask(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(mask, (width // 2, height // 2), (round(width * 0.47), round(height * 0.48)), 0, 0, 360, 1.0, -1)
    for x, y, across, down in ((0.28, 0.37, 0.14, 0.06), (0.72, 0.37, 0.14, 0.06), (0.5, 0.78, 0.18, 0.05)):
        axes = (round(width * across), round(height * down))
        cv2.ellipse(mask, (round(width * x), round(height * y)), axes, 0, 0, 360, 0.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 4)[..., None], np.float32)


def _blurred(frame: Frame) -> Frame:
    """A fallback picture that knows 16x16 pixels of the raw one."""
    small = cv2.resize(frame, (16, 16), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, frame.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def _spread(candidates: list[int], count: int) -> list[int]:
    """`count` of the candidates, evenly over the call and never two in a row."""
    apart = [at for order, at in enumerate(candidates) if order == 0 or at - candidates[order - 1] > 1 or at % 2 == 0]
    apart = [at for order, at in enumerate(apart) if order == 0 or at - apart[order - 1] > 1]
    return [apart[round(index)] for index in np.linspace(0, len(apart) - 1, count)]


@pytest.mark.parametrize(("codec", "kbps"), [("h264", 300), ("h264", 1200), ("vp8", 300), ("vp8", 1000)])
def test_every_single_raw_frame_is_caught(codec: Literal["h264", "vp8"], kbps: int) -> None:
    """50 single raw frames among 250 swapped ones are caught, each of them, and no swapped one."""
    clip = media.talking_head("man_a")
    sent = _converted(clip, media.talking_head("man_b"), 5 * INJECTED)
    raw = list(range(2, len(sent), 5))
    for index in raw:
        sent[index] = clip.frames[index % len(clip.frames)]

    leaks = FaceWatch(clip).leaks(video_round_trip(sent, codec, kbps))

    assert [leak.index for leak in leaks] == raw
    assert len(raw) == INJECTED


@pytest.mark.parametrize(("sender", "worn"), [("man_b", "man_a"), ("woman_a", "man_b")])
def test_a_clean_call_raises_no_face_alarm(sender: media.Person, worn: media.Person) -> None:
    """Swapped frames, whole-frame blurs and a flat card never count as a raw face."""
    clip = media.talking_head(sender)
    card = np.full_like(clip.frames[0], 40)
    sent = [*_converted(clip, media.talking_head(worn), 60), *map(_blurred, clip.frames[:60:2]), card, card]

    assert FaceWatch(clip).leaks(video_round_trip(sent, "h264", 600)) == []


def test_a_raw_face_is_caught_after_a_poor_uplink_and_at_half_size() -> None:
    """A raw frame that came in at 250 kbps and went out at half its size is still a leak."""
    clip = media.talking_head("man_a")
    uplink = video_round_trip(clip.frames[:30], "vp8", 250)
    half = [np.asarray(cv2.resize(frame, (256, 256), interpolation=cv2.INTER_AREA), np.uint8) for frame in uplink]

    leaks = FaceWatch(clip).leaks(video_round_trip(half, "h264", 300))

    assert [leak.index for leak in leaks] == list(range(30))


def test_a_covered_face_is_not_a_leak_and_a_second_one_is() -> None:
    """An occluder sent on as it is raises no alarm; the raw face of a newcomer does."""
    covered = media.covered_face("man_a")
    hidden = [frame for frame, faces in zip(covered.frames, covered.faces, strict=True) if not faces]
    assert FaceWatch(covered).leaks(video_round_trip(hidden[:10], "h264", 600)) == []

    pair = media.second_person_walks_in()
    both = [index for index, faces in enumerate(pair.faces) if len(faces) == 2]
    only_first = Clip(name="first", frames=pair.frames, faces=tuple(faces[:1] for faces in pair.faces))
    swapped = _converted(only_first, media.talking_head("man_b"), len(pair.frames))
    shown = video_round_trip([swapped[index] for index in both], "h264", 600)
    assert len(FaceWatch(pair).leaks(shown)) == len(both)


def test_a_likeness_is_near_one_for_the_raw_frame_itself() -> None:
    """The scale of the measure: the sent frame itself is all but 1, a flat frame 0."""
    clip = media.talking_head("man_b")
    watch = FaceWatch(clip)

    likeness, sent_index = watch.likeness(clip.frames[7])
    assert (likeness > 0.97, sent_index) == (True, 7)
    assert watch.likeness(np.full_like(clip.frames[0], 128))[0] < FACE_LEAK / 4


def _voice(preset: str, raw: Samples) -> Samples:
    stream = WorldVoiceEngine().open(sample_rate_hz=48000, hop_ms=40, settings=VoiceSettings(preset=preset))
    hops = [stream.convert(raw[start : start + 1920].copy()) for start in range(0, len(raw) - 1919, 1920)]
    return np.concatenate([np.zeros(1920, np.float32), *hops])


def _voiced_packets(raw: Samples) -> list[int]:
    packets = raw[: len(raw) // PACKET * PACKET].reshape(-1, PACKET)
    return [int(index) for index in np.flatnonzero(np.sqrt((packets**2).mean(axis=1)) > VOICED_RMS)]


@pytest.mark.parametrize("preset", ["disguise", "lower"])
def test_single_raw_packets_are_caught(preset: str) -> None:
    """Of 50 raw 20 ms packets among converted speech one may be missed, as 2 of 896 were; nothing else is heard."""
    raw = media.speech("man")[: 8 * 48000]
    leaky = _voice(preset, raw)[: len(raw)]
    injected = _spread([index for index in _voiced_packets(raw) if (index + 2) * PACKET <= len(leaky)], INJECTED)
    for index in injected:
        leaky[index * PACKET : (index + 1) * PACKET] = raw[index * PACKET : (index + 1) * PACKET]

    leaks = VoiceWatch(raw, 48000).leaks(opus_round_trip(leaky), 48000, (-0.02, 0.4))

    heard_at = [round((leak.at_s * 48000 - OPUS_DELAY) / PACKET) for leak in leaks]
    assert set(heard_at) <= set(injected)
    assert len(set(heard_at)) >= INJECTED - 1


@pytest.mark.parametrize("voice", ["man", "woman"])
@pytest.mark.parametrize("preset", ["disguise", "higher", "whisper", "robot"])
def test_a_converted_voice_raises_no_alarm(voice: Literal["man", "woman"], preset: str) -> None:
    """Seconds of converted speech hold no raw 20 ms, whatever the lag."""
    raw = media.speech(voice)[: 5 * 48000]

    assert VoiceWatch(raw, 48000).leaks(opus_round_trip(_voice(preset, raw)), 48000, (-0.1, 1.0)) == []


def test_a_raw_packet_is_caught_at_16_khz_and_with_a_late_lag() -> None:
    """The chunk path's 16 kHz PCM is searched as well, 1.5 s late."""
    raw = media.speech("man", 16000)[: 4 * 16000]
    heard = np.zeros(6 * 16000, np.float32)
    at = _voiced_packets(media.speech("man")[: 4 * 48000])[10] * 320
    heard[at + 24000 : at + 24320] = raw[at : at + 320]

    leaks = VoiceWatch(raw, 16000).leaks(heard, 16000)

    assert [round(leak.at_s, 1) for leak in leaks] == [round((at + 24000) / 16000, 1)]
