"""Which masks run: those that were chosen and lie there whole; a damaged one costs its mask and is told."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import mask_choice, neural_paste
from models.face_options import MaskChoice
from models.graph_opener import GraphOpener
from models.model_spec import ModelSpec
from models.neural_face_catalog import FACE_PARSER, XSEG
from models.store import Store
from models.swapper import SwappedCrop
from tests import mask_graphs

CROP = np.full((128, 128, 3), (250, 60, 90), np.uint8)
CROP[70:90, :50] = 0  # before the cheek
CROP[88:98, 54:74, 2] = 255  # in the mouth
ANSWER = SwappedCrop(picture=np.zeros((128, 128, 3), np.uint8))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Both networks, pinned."""
    for name, spec, content in (("XSEG", XSEG, mask_graphs.xseg()), ("FACE_PARSER", FACE_PARSER, mask_graphs.parser())):
        (tmp_path / spec.name).write_bytes(content)
        pinned: ModelSpec = replace(spec, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(mask_choice, name, pinned)
    return Store(tmp_path, offline=True)


def opened(store: Store, choice: MaskChoice) -> tuple[bool, bool, list[str]]:
    """Whether the cheek's bar shows, whether the mouth does, and what was said."""
    edges, said = mask_choice.open_edges(store, choice, 128, GraphOpener(None))
    (alpha,) = edges.draw([CROP], [ANSWER])
    assert alpha is not None
    less = alpha < neural_paste.soft_alpha(128)
    return bool(less[70:86, 30:48].any()), bool(less[88:98, 56:72].any()), said


@pytest.mark.parametrize(
    ("choice", "cheek", "mouth"),
    [("off", False, False), ("occlusion", True, False), ("mouth", False, True), ("both", True, True)],
)
def test_what_was_chosen_shows(store: Store, choice: MaskChoice, cheek: bool, mouth: bool) -> None:
    """And is named."""
    shown, opened_mouth, said = opened(store, choice)
    assert (shown, opened_mouth) == (cheek, mouth)
    assert len(said) == cheek + mouth


def test_what_is_absent_is_no_fault_and_what_is_damaged_is_told(store: Store, tmp_path: Path) -> None:
    """Covered in both cases."""
    (tmp_path / XSEG.name).unlink()
    assert opened(store, "occlusion") == (False, False, [])
    (tmp_path / XSEG.name).write_bytes(b"half")
    shown, _, said = opened(store, "occlusion")
    assert not shown
    assert "corrupt" in said[0]
