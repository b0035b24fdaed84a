"""CodeFormer in torch: what the network gives, in full precision on a CPU; half is believed only if it agrees."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models import codeformer_torch
from models.codeformer_torch import BATCHES, TorchCodeFormer
from models.convert.codeformer_network import load_codeformer
from models.runtime import NetworkError
from tests.test_enhancer_import import NARROW, narrow_checkpoint
from tests.test_enhancer_view import soft


def test_pictures_go_through_the_network_as_they_should(tmp_path: Path) -> None:
    """RGB in [-1, 1], fidelity by face, back in levels; as the network itself computes it."""
    path, picture = narrow_checkpoint(tmp_path), soft(512, 1, 12.0)
    (answer,) = TorchCodeFormer(path, device="cpu", half=False, width=NARROW).enhance([picture], [0.75])
    assert answer is not None
    rgb = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1)[None], np.float32))
    with torch.inference_mode():
        wanted = load_codeformer(path, NARROW)((rgb / 255 - 0.5) / 0.5, 0.75)[0].numpy()
    levels = np.clip((wanted.transpose(1, 2, 0)[..., ::-1] * 0.5 + 0.5) * 255, 0, 255)
    assert np.abs(answer - levels).mean() <= 0.5


def test_without_torch_or_without_a_gpu_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked without importing anything where torch is not installed."""
    monkeypatch.setattr(codeformer_torch, "cuda_version", str)
    assert codeformer_torch.torch_has_gpu() == torch.cuda.is_available()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert not codeformer_torch.torch_has_gpu()


@pytest.mark.parametrize(
    ("ours", "theirs", "fits"), [("13.0", "13.2", True), ("12.8", "13.0", False), ("", "12.8", True)]
)
def test_torch_of_another_cuda_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ours: str, theirs: str, fits: bool
) -> None:
    """Both bring a cuDNN of one name; the log says which versions do not fit. Minor versions do."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", theirs)
    monkeypatch.setattr(codeformer_torch, "cuda_version", lambda: ours)
    assert codeformer_torch.torch_has_gpu() == fits
    assert ("of CUDA 13 and onnxruntime-gpu of 12" in caplog.text) == (not fits)


def test_another_file_is_refused(tmp_path: Path) -> None:
    """Before anything is loaded."""
    path = tmp_path / "codeformer.pth"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(NetworkError, match="models verify"):
        TorchCodeFormer(path, device="cpu")


class Squares:
    """A network that gives full pictures in full precision and black squares in half."""

    def __init__(self) -> None:
        self.short = False
        self.factor = 1e-3

    def to(self, *_: object, **__: object) -> "Squares":
        """Nowhere."""
        return self

    def half(self) -> "Squares":
        """Overflows from here on."""
        self.short = True
        return self

    def __call__(self, given: object, shares: object) -> object:
        """The picture, or nearly nothing."""
        assert isinstance(given, torch.Tensor)
        return given * self.factor if self.short else given


def test_half_precision_that_answers_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Black squares, as some cards give; a failing device is an error of the network, too."""
    from models.convert import codeformer_network

    monkeypatch.setattr(codeformer_network, "load_codeformer", lambda *_: Squares())
    with pytest.raises(NetworkError, match="half precision is"):
        TorchCodeFormer(tmp_path / "codeformer.pth", device="cpu")

    flat = Squares()
    flat.factor = 0.0
    monkeypatch.setattr(codeformer_network, "load_codeformer", lambda *_: flat)
    with pytest.raises(NetworkError, match="single colour, in half precision"):
        TorchCodeFormer(tmp_path / "codeformer.pth", device="cpu")
    monkeypatch.setattr(codeformer_network, "load_codeformer", lambda *_: Squares())

    def lost(*_: object) -> object:
        raise RuntimeError("CUDA error: device-side assert triggered")

    whole = TorchCodeFormer(tmp_path / "codeformer.pth", device="cpu", half=False)
    whole._network = lost
    with pytest.raises(NetworkError, match="device-side"):
        whole.enhance([soft(512, 1)], [0.5])


class Streams:
    """Stands for torch's streams, which a CPU has none of: which one is in force, and in which the network was used."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current: object = "default"
        self.used: list[tuple[str, object, int]] = []
        monkeypatch.setattr(codeformer_torch, "_own_stream", lambda device: f"own of {device}")
        monkeypatch.setattr(torch.cuda, "stream", self._stream)

    @contextlib.contextmanager
    def _stream(self, stream: object) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before


def test_all_is_done_in_a_stream_of_its_own_and_at_every_size_before_a_call_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the default one the other networks' copies would wait for it; a size is slow when it runs first."""
    from models.convert import codeformer_network

    streams = Streams(monkeypatch)

    class Watched(Squares):
        def to(self, *_: object, **__: object) -> "Watched":
            streams.used.append(("to", streams.current, 0))
            return self

        def half(self) -> "Watched":
            streams.used.append(("half", streams.current, 0))
            return self

        def __call__(self, given: object, shares: object) -> object:
            assert isinstance(given, torch.Tensor)
            streams.used.append((str(given.dtype), streams.current, len(given)))
            return given

    monkeypatch.setattr(codeformer_network, "load_codeformer", lambda *_: Watched())
    TorchCodeFormer(tmp_path / "codeformer.pth", device="cpu")
    assert {stream for _, stream, _ in streams.used} == {"own of cpu"}
    assert {what for what, _, _ in streams.used} >= {"to", "half", "torch.float32"}
    assert {count for what, _, count in streams.used if what == "torch.float16"} == set(BATCHES)
    assert streams.current == "default"


def test_a_cpu_has_no_stream() -> None:
    """And torch takes that for none."""
    assert codeformer_torch._own_stream("cpu") is None
    with torch.cuda.stream(None):
        assert torch.zeros(1).sum() == 0
