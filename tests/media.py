"""Test media: talking heads with known face boxes, speech, and the files Chromium's fake devices read.

Real clips come from `../shared/assets` (beside the repository) when they are there; otherwise a photograph that ships
with scikit-image is animated, so that every test runs on a machine that has only this repository. Called by the tests
that place a call.
"""

import fractions
import functools
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import av
import cv2
import numpy as np
from scipy import signal

from models.engines import Frame, Samples
from tests import puppet
from tests.speech import Speaker
from tests.speech import speech as synthetic_speech

ASSETS = Path(__file__).resolve().parents[2] / "shared" / "assets"
FPS = 25
BREATH = 0.3
"""Breath in the synthetic voice, against its loudness: without it every period is like the last, which no voice is."""
OCCLUDER_BGR = (60, 90, 140)

Person = Literal["man_a", "man_b", "woman_a", "woman_b"]
_T = TypeVar("_T")
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 of one face in pixels of its frame."""

_GRID_CLIPS: dict[Person, str] = {
    "man_a": "grid_bbaf2n.mpg",
    "man_b": "grid_pwij3p.mpg",
    "woman_a": "grid_lrwp9a.mpg",
}
_SPEECH = {"man": "librispeech_2086-149214-0000.wav", "woman": "librispeech_7850-73752-0000.wav"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A short camera recording; `faces[i]` are the boxes of the uncovered faces in `frames[i]`."""

    name: str
    frames: tuple[Frame, ...]
    faces: tuple[tuple[Box, ...], ...]
    fps: int = FPS

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of every frame."""
        height, width = self.frames[0].shape[:2]
        return width, height


def have_assets() -> bool:
    """Whether the real talking heads and recorded speech are on this machine."""
    return (ASSETS / "media" / _GRID_CLIPS["man_a"]).exists()


@functools.lru_cache(maxsize=8)
def talking_head(person: Person = "man_a", size_px: int = 512) -> Clip:
    """Three seconds of one person talking, square, played forwards and backwards so that a loop has no cut."""
    if person in _GRID_CLIPS and have_assets():
        frames = [_square(frame, size_px) for frame in _decode(ASSETS / "media" / _GRID_CLIPS[person])]
        return _ping_pong(person, frames, _follow_face(frames))
    posed = [puppet.pose(person, time_s=index / FPS, size_px=size_px) for index in range(3 * FPS)]
    return _ping_pong(person, [frame for frame, _ in posed], [(box,) for _, box in posed])


def still(person: Person = "man_a", size_px: int = 512) -> Frame:
    """One picture of a person, as a source portrait."""
    return talking_head(person, size_px).frames[5].copy()


@functools.lru_cache(maxsize=4)
def covered_face(person: Person = "man_a", size_px: int = 512, cover_s: float = 2.0) -> Clip:
    """A talking head whose face is covered by a flat ellipse for `cover_s`, after one second in the open."""
    clip = talking_head(person, size_px)
    start, end = clip.fps, clip.fps + round(cover_s * clip.fps)
    frames, faces = list(_looped(clip.frames, end + clip.fps)), list(_looped(clip.faces, end + clip.fps))
    for index in range(start, end):
        frames[index], faces[index] = _cover(frames[index], faces[index]), ()
    return Clip(name=f"{person} covered", frames=tuple(frames), faces=tuple(faces))


@functools.lru_cache(maxsize=2)
def second_person_walks_in(height_px: int = 512) -> Clip:
    """One person at the left; after a second another comes in from the right within half a second and stays."""
    left, right = _pair(height_px)
    count, enter = len(left[0]), FPS
    frames: list[Frame] = []
    faces: list[tuple[Box, ...]] = []
    for index in range(count):
        shift = round(left[0][0].shape[1] * min(1.0, max(0.0, 1.0 - (index - enter) / (FPS / 2))))
        frames.append(_beside(left[0][index], right[0][index], shift))
        entering = [_moved(box, left[0][0].shape[1] + shift) for box in right[1][index]]
        faces.append((*left[1][index], *(box for box in entering if box[2] <= frames[-1].shape[1])))
    return Clip(name="two people", frames=tuple(frames), faces=tuple(faces))


@functools.lru_cache(maxsize=2)
def somebody_else_takes_the_place(size_px: int = 512) -> Clip:
    """One person for a second, then, from one frame to the next, another on the same spot for a second."""
    first, second = talking_head("man_a", size_px), talking_head("man_b", size_px)
    frames = (*first.frames[:FPS], *second.frames[:FPS])
    return Clip(name="another in the place", frames=frames, faces=(*first.faces[:FPS], *second.faces[:FPS]))


def speech(voice: Literal["man", "woman"] = "man", sample_rate_hz: int = 48000) -> Samples:
    """Some seconds of one person speaking: LibriSpeech when it is there, else synthetic; RMS about 0.08."""
    path = ASSETS / "media" / _SPEECH[voice]
    samples, rate_hz = _read_wav(path) if path.exists() else _synthetic_speech(voice)
    if rate_hz != sample_rate_hz:
        samples = signal.resample_poly(samples, sample_rate_hz, rate_hz).astype(np.float32)
    return np.asarray(np.tanh(samples * (0.08 / max(1e-6, float(samples.std())))), np.float32)


def write_mjpeg(clip: Clip, path: Path, quality: int = 4) -> Path:
    """Write the file `--use-file-for-fake-video-capture` loops; full-range 4:2:0, since 4:4:4 shows plain green."""
    with av.open(str(path), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=clip.fps)
        stream.width, stream.height = clip.size_px
        stream.pix_fmt = "yuvj420p"
        stream.codec_context.options = {"qmin": str(quality), "qmax": str(quality)}
        for index, image in enumerate(clip.frames):
            frame = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = index, fractions.Fraction(1, clip.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_wav(samples: Samples, path: Path, sample_rate_hz: int = 48000) -> Path:
    """Write the PCM16 file that `--use-file-for-fake-audio-capture` loops."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def detect_faces(frame: Frame) -> tuple[Box, ...]:
    """Faces in a real clip, largest first, by YuNet from the assets; raises when the assets are absent."""
    height, width = frame.shape[:2]
    detector = _yunet()
    detector.setInputSize((width, height))
    _, found = detector.detect(frame)
    rows = [] if found is None else sorted(found, key=lambda row: -float(row[2] * row[3]))
    return tuple((float(row[0]), float(row[1]), float(row[0] + row[2]), float(row[1] + row[3])) for row in rows)


def _follow_face(frames: Sequence[Frame]) -> list[tuple[Box, ...]]:
    """The one face of a sitting speaker: detected in every fourth frame, interpolated between."""
    known = [*range(0, len(frames) - 1, 4), len(frames) - 1]
    boxes = np.array([detect_faces(frames[index])[0] for index in known])
    edges = [np.interp(range(len(frames)), known, boxes[:, edge]).tolist() for edge in range(4)]
    return [(box,) for box in zip(*edges, strict=True)]


@functools.lru_cache(maxsize=1)
def _yunet() -> cv2.FaceDetectorYN:
    return cv2.FaceDetectorYN.create(str(ASSETS / "models" / "face_detection_yunet_2023mar.onnx"), "", (512, 512), 0.6)


def _decode(path: Path) -> list[Frame]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]


def _square(frame: Frame, size_px: int) -> Frame:
    height, width = frame.shape[:2]
    side = min(height, width)
    x, y = (width - side) // 2, (height - side) // 2
    resized = cv2.resize(frame[y : y + side, x : x + side], (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(resized, np.uint8)


def _ping_pong(name: str, frames: Sequence[Frame], faces: Sequence[tuple[Box, ...]]) -> Clip:
    return Clip(name=name, frames=(*frames, *frames[-2:0:-1]), faces=(*faces, *faces[-2:0:-1]))


def _looped(items: Sequence[_T], count: int) -> list[_T]:
    return [items[index % len(items)] for index in range(count)]


def _cover(frame: Frame, faces: tuple[Box, ...]) -> Frame:
    covered = frame.copy()
    for x0, y0, x1, y1 in faces:
        centre = (round((x0 + x1) / 2), round((y0 + y1) / 2))
        axes = (round(0.72 * (x1 - x0)), round(0.72 * (y1 - y0)))
        cv2.ellipse(covered, centre, axes, 0, 0, 360, OCCLUDER_BGR, -1, cv2.LINE_AA)
    return covered


def _pair(height_px: int) -> tuple[tuple[list[Frame], list[tuple[Box, ...]]], ...]:
    """Two people, each as portrait-shaped frames (3:4) with the boxes of their faces."""
    path = ASSETS / "media" / "grid_two_people.mp4"
    if not path.exists():
        return _portrait("woman_a", height_px), _portrait("woman_b", height_px)
    halves: tuple[list[Frame], list[Frame]] = ([], [])
    for frame in _decode(path):
        middle = frame.shape[1] // 2
        halves[0].append(_narrow(frame[:, :middle], height_px))
        halves[1].append(_narrow(frame[:, middle:], height_px))
    return tuple((frames, _follow_face(frames)) for frames in halves)


def _portrait(person: Person, height_px: int) -> tuple[list[Frame], list[tuple[Box, ...]]]:
    clip, cut = talking_head(person, height_px), height_px // 8
    frames = [np.ascontiguousarray(frame[:, cut:-cut]) for frame in clip.frames[: 3 * FPS]]
    return frames, [tuple(_moved(box, -cut) for box in boxes) for boxes in clip.faces[: 3 * FPS]]


def _narrow(half: Frame, height_px: int) -> Frame:
    height, width = half.shape[:2]
    cut = (width - height * 3 // 4) // 2
    resized = cv2.resize(half[:, cut : width - cut], (height_px * 3 // 4, height_px), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(resized, np.uint8)


def _beside(left: Frame, right: Frame, shift_px: int) -> Frame:
    width = left.shape[1]
    empty = np.full_like(left, left[:8, :8].mean(axis=(0, 1)).astype(np.uint8))
    empty[:, shift_px:] = right[:, : width - shift_px]
    return np.ascontiguousarray(np.hstack([left, empty]))


def _moved(box: Box, dx_px: float) -> Box:
    return box[0] + dx_px, box[1], box[2] + dx_px, box[3]


def _read_wav(path: Path) -> tuple[Samples, int]:
    with wave.open(str(path), "rb") as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return (pcm / 32768).astype(np.float32), file.getframerate()


@functools.lru_cache(maxsize=2)
def _synthetic_speech(voice: Literal["man", "woman"]) -> tuple[Samples, int]:
    speaker = Speaker() if voice == "man" else Speaker(f0_hz=205.0, tract=1.15)
    voiced = synthetic_speech(10.0, 16000, speaker)
    breath = np.random.default_rng(7).normal(0, 1, len(voiced))
    loudness = np.sqrt(np.convolve(voiced**2, np.full(160, 1 / 160), "same"))
    return np.asarray(voiced + BREATH * loudness * breath, np.float32), 16000
