"""The test media are what the tests take them for."""

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from tests import media, puppet


@pytest.mark.parametrize("person", ["man_a", "man_b", "woman_a", "woman_b"])
def test_a_talking_head_has_one_face_and_moves(person: media.Person) -> None:
    """Every frame is 512x512 with one face inside it, and consecutive frames differ."""
    clip = media.talking_head(person)

    assert clip.size_px == (512, 512)
    assert {len(faces) for faces in clip.faces} == {1}
    assert all(0 <= x0 < x1 <= 512 and 0 <= y0 < y1 <= 512 for ((x0, y0, x1, y1),) in clip.faces)
    assert np.abs(clip.frames[0].astype(int) - clip.frames[10]).mean() > 0.5


def test_the_puppet_is_there_without_assets() -> None:
    """A posed photograph needs nothing but scikit-image; its face box follows the pose."""
    frame, before = puppet.pose("man_a", time_s=0.0, size_px=256)
    _, after = puppet.pose("man_a", time_s=0.6, size_px=256)

    assert frame.shape == (256, 256, 3)
    assert before != after


def test_a_covered_face_is_covered_for_two_seconds() -> None:
    """50 of 25 frames a second have no face, and are flat where it was."""
    clip = media.covered_face("man_a")
    hidden = [index for index, faces in enumerate(clip.faces) if not faces]
    ((x0, y0, x1, y1),) = clip.faces[hidden[0] - 1]

    assert len(hidden) == 50
    assert clip.frames[hidden[5]][int(y0 + 40) : int(y1 - 40), int(x0 + 40) : int(x1 - 40)].std(axis=(0, 1)).max() < 1


def test_a_second_person_walks_in() -> None:
    """One face for a second, then two."""
    counts = [len(faces) for faces in media.second_person_walks_in().faces]

    assert (counts[0], counts[-1]) == (1, 2)


def test_speech_is_audible_at_any_rate() -> None:
    """Seconds of mono float32 at the usual level."""
    for rate_hz in (16000, 48000):
        speech = media.speech("man", rate_hz)
        assert speech.dtype == np.float32
        assert len(speech) > 5 * rate_hz
        assert 0.05 < float(speech.std()) < 0.12


def test_fake_devices_read_what_is_written(tmp_path: Path) -> None:
    """The camera file is full-range 4:2:0 MJPEG, all frames of it; the microphone file PCM16 mono."""
    clip = media.talking_head("man_a", 64)
    with av.open(str(media.write_mjpeg(clip, tmp_path / "camera.mjpeg"))) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.pix_fmt == "yuvj420p"
        assert sum(1 for _ in container.decode(stream)) == len(clip.frames)
    with wave.open(str(media.write_wav(media.speech("man"), tmp_path / "microphone.wav"))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48000)
