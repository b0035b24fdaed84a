"""What a browser call really took, from what only the browser saw: numbered pictures and bursts of a voice.

The camera's file carries a number in a small corner patch of each picture (the face stays visible), the microphone's
file is speech cut into bursts. `glass_probe.js` notes in the page which number is shown when and how loud both
sounds are when; here the delays are read off that, without a word of the server. Used by `test_browser_call` and
`bench/glass_bench.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.engines import Samples
from tests import media
from tests.media import Clip

PROBE = Path(__file__).with_name("glass_probe.js")
"""Evaluated in the page with `CELLS`; fills `window.glassProbe`."""
NUMBER_BITS = 8
CELLS = NUMBER_BITS + 1
"""One for each bit of the Gray-coded number, and their parity."""
CELL_SHARE = 24 / 512
"""Side of a cell, of the picture's width."""
DARK, LIGHT = 40, 216
DOUBT = 24

STEP_MS = 2.5
"""The probe's loudness grid."""
BURST_S, PAUSE_S = (0.22, 0.45), (0.3, 0.7)
LONGEST_MS = 900.0
ALIKE = 0.75
"""Least correlation of a burst with its return; a converted voice keeps its loudness, not its wave."""
_QUIET, _RAMP_S = 0.25, 0.01

Picture = Sequence[float | None | Sequence[float]]
"""(captureTime or None, expectedDisplayTime, rtpTimestamp or None, luma of each cell), times in ms."""
Loudness = Sequence[Sequence[float]]
"""Rows of (time of the first step in ms, RMS of each step)."""
Delays = NDArray[np.float64]
"""(n, 2): when it arrived, ms of the page's clock, and its delay in ms."""


def numbered(clip: Clip) -> Clip:
    """The clip with each picture's index written into its upper left corner; at most 256 pictures."""
    assert len(clip.frames) <= 1 << NUMBER_BITS
    frames = []
    for index, picture in enumerate(clip.frames):
        frame, side_px = picture.copy(), round(CELL_SHARE * picture.shape[1])
        for cell, bit in enumerate(_bits(index)):
            frame[:side_px, cell * side_px : (cell + 1) * side_px] = LIGHT if bit else DARK
        frames.append(frame)
    return replace(clip, name=f"{clip.name} numbered", frames=tuple(frames))


def bursts(voice: Samples, seconds: float, rate_hz: int = 48_000) -> Samples:
    """The voice cut into bursts of uneven length with silence between, so that none is like its neighbours."""
    rng = np.random.default_rng(5)
    source = np.tile(voice, int(seconds * rate_hz / len(voice)) + 1)
    gated = np.zeros(int(seconds * rate_hz), np.float32)
    ramp = np.linspace(0.0, 1.0, int(_RAMP_S * rate_hz), dtype=np.float32)
    at = int(PAUSE_S[0] * rate_hz)
    while at + (length := int(rng.uniform(*BURST_S) * rate_hz)) < len(gated):
        gated[at : at + length] = source[at : at + length]
        gated[at : at + len(ramp)] *= ramp
        gated[at + length - len(ramp) : at + length] *= ramp[::-1]
        at += length + int(rng.uniform(*PAUSE_S) * rate_hz)
    return gated


def read_number(levels: Sequence[float]) -> int | None:
    """The number that the cells show; None in doubt."""
    if len(levels) != CELLS or min(abs(level - 128) for level in levels) < DOUBT:
        return None
    gray = sum((level > 128) << bit for bit, level in enumerate(levels[:NUMBER_BITS]))
    number = _from_gray(gray)
    return number if _bits(number)[-1] == (levels[-1] > 128) else None


def glass_delays(camera: Sequence[Picture], screen: Sequence[Picture]) -> Delays:
    """From the capture of each picture to its first display; a picture that is held on is no new one."""
    captured: dict[int, list[float]] = {}
    for captured_ms, shown_ms, _, cells in camera:
        number = read_number(_floats(cells))
        if number is not None:
            captured.setdefault(number, []).append(_float(shown_ms if captured_ms is None else captured_ms))
    found, last = [], None
    for _, shown, _, cells in screen:
        number, shown_ms = read_number(_floats(cells)), _float(shown)
        if number is None or number == last:
            continue
        last = number
        since = [shown_ms - at_ms for at_ms in captured.get(number, []) if at_ms < shown_ms]
        if since and min(since) < 2 * LONGEST_MS:
            found.append((shown_ms, min(since)))
    return np.array(found, np.float64).reshape(-1, 2)


def voice_delays(microphone: Loudness, speaker: Loudness) -> Delays:
    """Of each burst, by the correlation of its loudness with what came back; bursts without a likeness are left out."""
    sent, returned, began_ms = _on_one_grid(microphone, speaker)
    reach = round(LONGEST_MS / STEP_MS)
    before, after = round(100 / STEP_MS), round(150 / STEP_MS)
    found = []
    for first, last in _bursts_in(sent):
        start, end = first - before, last + after
        if start < 0 or end + reach > len(sent):
            continue
        likeness = _likeness(sent[start:end], returned[start : end + reach])
        lag = int(np.argmax(likeness))
        if likeness[lag] >= ALIKE:
            found.append((began_ms + (first + lag) * STEP_MS, (lag + _between(likeness, lag)) * STEP_MS))
    return np.array(found, np.float64).reshape(-1, 2)


def spread(delays: Delays) -> tuple[float, float]:
    """Median and 95th percentile in ms; not a number without any."""
    if not len(delays):
        return float("nan"), float("nan")
    p50, p95 = np.percentile(delays[:, 1], [50, 95])
    return float(p50), float(p95)


def call_media(seconds: float) -> tuple[Clip, Samples]:
    """The camera's and the microphone's recording of a call that can be measured."""
    return numbered(media.talking_head("man_a")), bursts(media.speech("man"), seconds)


def _bits(number: int) -> list[bool]:
    gray = number ^ (number >> 1)
    bits = [bool(gray >> bit & 1) for bit in range(NUMBER_BITS)]
    return [*bits, sum(bits) % 2 == 1]


def _from_gray(gray: int) -> int:
    number = 0
    while gray:
        number ^= gray
        gray >>= 1
    return number


def _float(value: float | Sequence[float] | None) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _floats(value: float | Sequence[float] | None) -> Sequence[float]:
    assert isinstance(value, Sequence)
    return value


def _track(rows: Loudness) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    times = [row[0] + (step + 0.5) * STEP_MS for row in rows for step in range(len(row) - 1)]
    return np.array(times), np.sqrt(np.array([level for row in rows for level in row[1:]]))


def _on_one_grid(microphone: Loudness, speaker: Loudness) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    (sent_ms, sent), (returned_ms, returned) = _track(microphone), _track(speaker)
    began_ms = max(sent_ms[0], returned_ms[0])
    grid = np.arange(began_ms, min(sent_ms[-1], returned_ms[-1]), STEP_MS)
    return np.interp(grid, sent_ms, sent), np.interp(grid, returned_ms, returned), float(began_ms)


def _bursts_in(loudness: NDArray[np.float64]) -> list[tuple[int, int]]:
    """First and last step of each burst; pauses under 100 ms belong to it."""
    loud = np.flatnonzero(loudness > _QUIET * np.percentile(loudness, 95))
    if not len(loud):
        return []
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > 100 / STEP_MS) + 1)
    return [(int(group[0]), int(group[-1])) for group in groups if len(group) >= 50 / STEP_MS]


def _likeness(burst: NDArray[np.float64], returned: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised correlation of the burst with what came back, lag by lag."""
    windows = np.lib.stride_tricks.sliding_window_view(returned, len(burst))
    windows = windows - windows.mean(axis=1, keepdims=True)
    shape = burst - burst.mean()
    return np.asarray(windows @ shape / (np.linalg.norm(windows, axis=1) * np.linalg.norm(shape) + 1e-9))


def _between(likeness: NDArray[np.float64], lag: int) -> float:
    """The peak between the steps, by a parabola."""
    if not 0 < lag < len(likeness) - 1:
        return 0.0
    left, top, right = likeness[lag - 1 : lag + 2]
    bend = left - 2 * top + right
    return 0.0 if bend == 0 else float(0.5 * (left - right) / bend)
