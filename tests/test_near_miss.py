"""A file that is almost one of the catalogue's: what is wrong with it is said, or which one to get."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from models import near_miss
from models.catalog import CATALOG
from models.neural_face_catalog import INSWAPPER_FP16, XSEG


def test_a_file_of_the_right_name_is_shown_beside_what_was_wanted(tmp_path: Path) -> None:
    """Every accepted one; the name may be written otherwise."""
    path = tmp_path / "Inswapper_128_fp16.ONNX"
    path.write_bytes(b"cut off")
    told = near_miss.sentence(path, CATALOG)
    assert f"It has 7 bytes with SHA-256 {hashlib.sha256(b'cut off').hexdigest()}" in told
    assert all(f"{pin.bytes} bytes with SHA-256 {pin.sha256}" in told for pin in INSWAPPER_FP16.pins)


def test_a_file_of_the_right_size_is_too(tmp_path: Path) -> None:
    """Another name, and a byte that rotted."""
    path = tmp_path / "mask.onnx"
    with path.open("wb") as file:
        file.truncate(2000)
    told = near_miss.sentence(path, [replace(XSEG, name="small.onnx", bytes=2000)])
    assert f"small.onnx has 2000 bytes with SHA-256 {XSEG.sha256}" in told


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("codeformer_fp16.onnx", "codeformer.pth"),
        ("GFPGANv1.4.pth", "GFPGANv1.4.onnx"),
        ("GPEN-BFR-512.onnx", "GPEN-BFR-256.onnx"),
        ("xseg_1.onnx", "xseg_3.onnx"),
        ("dfl_xseg.onnx", "xseg_3.onnx"),
        ("hubert_base.pt", "contentvec.bin"),
    ],
)
def test_of_another_export_it_is_said_which_one_is_used(tmp_path: Path, name: str, used: str) -> None:
    """People have them from other programs; no kind is spoken of that the catalogue has not."""
    (tmp_path / name).write_bytes(b"x")
    assert f"Of its kind {used} is used, and no other." in near_miss.sentence(tmp_path / name, CATALOG)
    assert "Of its kind" not in near_miss.sentence(tmp_path / name, [])


def test_every_file_that_is_recommended_is_in_the_catalogue() -> None:
    """A renamed entry would be recommended for ever."""
    assert set(near_miss._KINDS.values()) <= {spec.name for spec in CATALOG}
