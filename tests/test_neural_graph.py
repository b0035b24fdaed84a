"""What is read from and changed in .onnx files without the onnx package, against files that ONNX Runtime loads."""

from pathlib import Path

import numpy as np
import pytest

from models.neural_graph import last_initializer, with_open_batch
from models.runtime import NetworkError, OnnxGraph
from tests.asset_frames import GOLDEN, MODELS, with_golden
from tests.onnx_writer import affine_picture, constants_of

FIRST, LAST = np.ones((3, 2), np.float32), np.arange(6, dtype=np.float32).reshape(2, 3)
NARROW = GOLDEN / "inswapper_narrow" / "inswapper_narrow.onnx"


def write(path: Path, content: bytes) -> Path:
    """A file of these bytes."""
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_last_of_the_constants_is_read(tmp_path: Path, dtype: type[np.floating]) -> None:
    """In its shape, as float32, whichever of the two circulating precisions it has; the order decides, not the name."""
    path = write(tmp_path / "a.onnx", constants_of({"emap": FIRST, "x1": LAST.astype(dtype)}))
    found = last_initializer(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, LAST)


@with_golden
def test_the_real_matrix_is_the_one_that_was_published() -> None:
    """Of a graph that a real exporter wrote."""
    np.testing.assert_array_equal(last_initializer(NARROW), np.load(MODELS / "inswapper_128_emap.npy"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a network at all",
        constants_of({}),
        constants_of({"ints": np.arange(4, dtype=np.int64)}),
        constants_of({"a": LAST})[:-20],
        b"\xff" * 40,
    ],
    ids=["empty", "foreign", "no constant", "integers", "cut short", "endless number"],
)
def test_a_file_without_a_matrix_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    """Name and command, no traceback of a parser."""
    with pytest.raises(NetworkError, match=r"models verify a\.onnx"):
        last_initializer(write(tmp_path / "a.onnx", content))


def test_a_graph_of_one_picture_takes_three_once_its_batch_is_open() -> None:
    """Each row is what the picture gives alone; the graph refused them before."""
    rng = np.random.default_rng(1)
    content = affine_picture(rng.random((3, 8, 8), np.float32), rng.random((3, 8, 8), np.float32))
    fixed, opened = (OnnxGraph(Path("a"), content=data) for data in (content, with_open_batch(content)))
    assert opened.inputs[0].shape == (None, 3, 8, 8)
    assert opened.outputs[0].shape == (None, 3, 8, 8)
    batch = rng.random((3, 3, 8, 8), np.float32)
    (out,) = opened.run({"x": batch})
    for row, picture in zip(out, batch, strict=True):
        np.testing.assert_array_equal(row, fixed.run({"x": picture[None]})[0][0])
    with pytest.raises(NetworkError):
        fixed.run({"x": batch})


def test_an_absent_file_says_how_to_get_it(tmp_path: Path) -> None:
    """Not an operating-system error."""
    with pytest.raises(NetworkError, match=r"models fetch absent\.onnx"):
        last_initializer(tmp_path / "absent.onnx")


@with_golden
def test_opening_the_batch_moves_no_constant(tmp_path: Path) -> None:
    """The matrix is still the last one, bit by bit."""
    path = write(tmp_path / "open.onnx", with_open_batch(NARROW.read_bytes()))
    np.testing.assert_array_equal(last_initializer(path), last_initializer(NARROW))
