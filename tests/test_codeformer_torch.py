"""CodeFormer in torch: what the network gives, in full precision on a CPU; half is believed only if it agrees."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models import codeformer_torch
from models.codeformer_torch import TorchCodeFormer
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
    assert codeformer_torch.torch_has_gpu() == torch.cuda.is_available()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert not codeformer_torch.torch_has_gpu()


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
