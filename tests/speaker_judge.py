"""A judge of who is speaking, for tests only: the GE2E speaker encoder of Resemblyzer, run by numpy.

The network is Wan et al. 2018 ("Generalized End-to-End Loss"), the weights are those in the `Resemblyzer` 0.1.4 wheel
(Apache-2.0); neither torch nor librosa is needed. The weights come from an installed Resemblyzer, or from its wheel,
which pip fetches once, without dependencies, into the user's cache.
"""

import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
_CACHE = Path.home() / ".cache" / "mirage-tests"
_FFT, _STEP, _MELS = 400, 160, 40
_PARTIAL_FRAMES = 160
_HIDDEN = 256

Array = NDArray[np.float32]


class JudgeMissing(Exception):
    """The encoder's weights cannot be had on this machine."""


class _Tensor:
    """Where a torch storage will be; filled in once the file's tail is read."""

    def __init__(self, key: str, offset: int, size: tuple[int, ...]) -> None:
        self.key, self.offset, self.size = key, offset, size


class _Unpickler(pickle.Unpickler):
    """Reads torch's legacy format and nothing else: any other class is refused."""

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("torch", "FloatStorage"): "float32",
            ("torch", "LongStorage"): "int64",
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} has no business in a weight file")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        return str(pid[2]), pid[1]


def _rebuild(storage: tuple[str, str], offset: int, size: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor(storage[0], offset, size)


def _read_weights(data: bytes) -> dict[str, Array]:
    """Tensors of the checkpoint's `model_state`, float32."""
    file = BytesIO(data)
    for _ in range(3):  # magic number, protocol version, sizes of C types
        _Unpickler(file).load()
    state = _Unpickler(file).load()["model_state"]
    keys = _Unpickler(file).load()
    wanted = {tensor.key for tensor in state.values()}
    storages = _read_storages(file, keys, wanted)
    return {
        name: storages[t.key][t.offset : t.offset + int(np.prod(t.size, dtype=int))].reshape(t.size)
        for name, t in state.items()
    }


def _read_storages(file: BinaryIO, keys: list[str], wanted: set[str]) -> dict[str, Array]:
    """The raw arrays in file order; reading stops once all `wanted` float storages were seen."""
    storages: dict[str, Array] = {}
    for key in keys:
        if wanted <= storages.keys():
            break
        count = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(4 * count), dtype="<f4")
    return storages


def _weight_bytes() -> bytes:
    installed = find_spec("resemblyzer")
    if installed is not None and installed.origin:
        return (Path(installed.origin).parent / "pretrained.pt").read_bytes()
    kept = _CACHE / "resemblyzer_pretrained.pt"
    if not kept.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(_from_wheel())
    return kept.read_bytes()


def _from_wheel() -> bytes:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*command, "--dest", str(_CACHE), "Resemblyzer==0.1.4"], capture_output=True, check=False)
    wheels = sorted(_CACHE.glob("[Rr]esemblyzer-0.1.4-*.whl"))
    if done.returncode or not wheels:
        raise JudgeMissing("The speaker judge needs the Resemblyzer wheel and pip could not fetch it.")
    with zipfile.ZipFile(wheels[0]) as wheel:
        return wheel.read("resemblyzer/pretrained.pt")


@cache
def _weights() -> dict[str, Array]:
    data = _weight_bytes()
    if sha256(data).hexdigest() != _SHA256:
        raise JudgeMissing("The speaker judge's weights are not those of Resemblyzer 0.1.4.")
    return _read_weights(data)


@cache
def _mel_filters() -> NDArray[np.float64]:
    """(40, 201) Slaney mel bank of equal area, 0 to 8 kHz (Auditory Toolbox, as librosa's default)."""

    def mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1e-9) / 1000) * 27 / np.log(6.4))

    points = np.linspace(0, float(mel(np.array([8000.0]))[0]), _MELS + 2)
    edges = np.where(points < 15, points * 200 / 3, 1000 * np.exp((points - 15) * np.log(6.4) / 27))
    hz = np.linspace(0, RATE_HZ / 2, _FFT // 2 + 1)
    rising = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    area = 2 / (edges[2:] - edges[:-2])
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * area[:, None])


def _mel_spectrogram(wave: NDArray[np.float64]) -> Array:
    """(frames, 40) mel power, 25 ms periodic Hann windows centred every 10 ms."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)
    padded = np.pad(wave, _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_STEP] * window
    return np.asarray(np.abs(np.fft.rfft(frames)) ** 2 @ _mel_filters().T, dtype=np.float32)


def _lstm(sequence: Array, layer: int) -> Array:
    """One LSTM layer over (batch, time, features), gates in torch's order i f g o."""
    weights = _weights()
    w_in, w_state = weights[f"lstm.weight_ih_l{layer}"], weights[f"lstm.weight_hh_l{layer}"].T
    drive = sequence @ w_in.T + weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
    state: NDArray[Any] = np.zeros((len(sequence), _HIDDEN), dtype=np.float32)
    cell: NDArray[Any] = state
    out = np.empty((*sequence.shape[:2], _HIDDEN), dtype=np.float32)
    for t in range(sequence.shape[1]):
        gates = (drive[:, t] + state @ w_state).reshape(len(sequence), 4, _HIDDEN)
        enter, forget, leave = (0.5 + 0.5 * np.tanh(0.5 * gates[:, i]) for i in (0, 1, 3))
        cell = forget * cell + enter * np.tanh(gates[:, 2])
        state = leave * np.tanh(cell)
        out[:, t] = state
    return out


def _partials(samples: int) -> list[int]:
    """First frames of the overlapping 1.6 s pieces that Resemblyzer averages (rate 1.3, coverage 0.75)."""
    step = round(RATE_HZ / 1.3 / _STEP)
    frames = int(np.ceil((samples + 1) / _STEP))
    starts = list(range(0, max(1, frames - _PARTIAL_FRAMES + step + 1), step))
    covered = (samples - starts[-1] * _STEP) / (_PARTIAL_FRAMES * _STEP)
    return starts[:-1] if covered < 0.75 and len(starts) > 1 else starts


def embed(wave: NDArray[Any]) -> Array:
    """(256,) unit vector of the speaker of `wave`, mono at 16 kHz; quiet waves are raised to -30 dB first."""
    signal = np.asarray(wave, dtype=np.float64)
    rms = float(np.sqrt(np.mean(signal**2)))
    signal = signal * max(1.0, 10 ** (-30 / 20) / max(rms, 1e-9))
    starts = _partials(len(signal))
    short = max(0, (starts[-1] + _PARTIAL_FRAMES) * _STEP - len(signal))
    mel = _mel_spectrogram(np.pad(signal, (0, short)))
    layer = np.stack([mel[start : start + _PARTIAL_FRAMES] for start in starts])
    for index in range(3):
        layer = _lstm(layer, index)
    weights = _weights()
    raw = np.maximum(layer[:, -1] @ weights["linear.weight"].T + weights["linear.bias"], 0)
    mean = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def similarity(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Cosine of two waves' speakers: above 0.9 one person, about 0.6 strangers."""
    return float(embed(one) @ embed(other))
