"""Strangers' graphs: a plain one passes; what loads, loops, calls out or lies about its size does not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models import onnx_guard
from models.voice_refusal import VoiceRefused
from tests import onnx_writer
from tests.onnx_writer import GraphWriter


def number(field: int, value: int) -> bytes:
    """A field of a whole number."""
    return onnx_writer._number(field, value)


def block(field: int, value: bytes | str) -> bytes:
    """A field of bytes."""
    return onnx_writer._block(field, value)


def plain(extra_node: bytes = b"", extra_tensor: bytes = b"", kind: str = "Relu", **attributes: int) -> GraphWriter:
    """A graph of one matrix product and one other node, and whatever is put beside it."""
    writer = GraphWriter()
    x = writer.input("x", (1, 4))
    product = writer.node("MatMul", [x, writer.constant("w", np.eye(4, dtype=np.float32))])
    writer.node(kind, [product], "y", **attributes)
    writer.output("y", (1, 4))
    writer.nodes += [extra_node] if extra_node else []
    writer.constants += [extra_tensor] if extra_tensor else []
    return writer


def tensor(dims: list[int], *rest: bytes, dtype: int = 1) -> bytes:
    """A TensorProto by hand."""
    return b"".join(number(1, size) for size in dims) + number(2, dtype) + block(8, "c") + b"".join(rest)


def node(kind: str, *rest: bytes) -> bytes:
    """A NodeProto by hand."""
    return block(1, "x") + block(2, "z") + block(4, kind) + b"".join(rest)


OUTSIDE = block(13, block(1, "location") + block(2, "../../etc/passwd")) + number(14, 1)
LYING: dict[str, Callable[[], bytes]] = {
    "numbers in another file": lambda: plain(extra_tensor=tensor([2], OUTSIDE)).model(),
    "numbers in another file by place alone": lambda: plain(extra_tensor=tensor([2], number(14, 1))).model(),
    "10 GB of header": lambda: plain(extra_tensor=tensor([50_000, 50_000], block(9, b"1234"))).model(),
    "a negative size": lambda: plain(extra_tensor=tensor([-4], block(9, b"1234"))).model(),
    "more numbers than it says": lambda: plain(extra_tensor=tensor([1], block(9, b"12345678"))).model(),
    "packed numbers, too few": lambda: plain(extra_tensor=tensor([3], block(4, b"12345678"))).model(),
    "strings": lambda: plain(extra_tensor=tensor([1], block(6, b"text"), dtype=8)).model(),
    "many axes": lambda: plain(extra_tensor=tensor([1] * 9, block(9, b"1234"))).model(),
    "a constant of a node that lies": lambda: plain(
        extra_node=node("Constant", block(5, block(1, "value") + block(5, tensor([9**9], block(9, b"1234")))))
    ).model(),
    "a loop": lambda: plain(kind="Loop").model(),
    "a branch": lambda: plain(kind="If").model(),
    "a graph inside a plain node": lambda: plain(
        extra_node=node("Relu", block(5, block(1, "body") + block(6, b"")))
    ).model(),
    "an operator of another domain": lambda: plain(extra_node=node("Relu", block(7, "com.evil"))).model(),
    "an unknown operator": lambda: plain(kind="OptionalGetElement").model(),
    "another domain": lambda: plain().model() + block(8, block(1, "com.evil") + number(2, 1)),
    "functions of its own": lambda: plain().model() + block(25, block(1, "f")),
    "training": lambda: plain().model() + block(20, b""),
    "a second graph": lambda: plain().model() + block(7, b""),
    "no graph": lambda: number(1, 7) + block(8, number(2, 11)),
    "no nodes": lambda: number(1, 7) + block(7, block(2, "g")) + block(8, number(2, 11)),
    "operators of the future": lambda: plain().model(opset=99),
    "a version of the future": lambda: plain().model() + number(1, 99),
    "sparse constants": lambda: (
        number(1, 7) + block(7, block(1, node("Relu")) + block(15, b"")) + block(8, number(2, 11))
    ),
}


def check(folder: Path, content: bytes) -> None:
    """As it lies on a disk."""
    path = folder / "net.onnx"
    path.write_bytes(content)
    onnx_guard.check(path)


def test_a_plain_graph_passes(tmp_path: Path) -> None:
    """Constants in every way that exporters write them."""
    floats = tensor([2], block(4, np.ones(2, np.float32).tobytes()))
    whole = tensor([2], block(7, b"\x01\x02"), dtype=7)
    for extra in (b"", floats, whole, tensor([], block(9, b"1234")), tensor([0, 3], block(9, b""))):
        check(tmp_path, plain(extra_tensor=extra).model())
    check(tmp_path, plain(extra_node=node("Relu", block(7, "ai.onnx"))).model())


@pytest.mark.parametrize("lie", LYING)
def test_what_is_not_plain_is_refused_in_words(tmp_path: Path, lie: str) -> None:
    """By one code, with the file's name, and that nothing was run."""
    with pytest.raises(VoiceRefused, match=r"net\.onnx .*: it is refused and none of it was run\.$") as caught:
        check(tmp_path, LYING[lie]())
    assert caught.value.code == "graph_format"


def test_words_of_the_file_are_not_printed_as_they_are(tmp_path: Path) -> None:
    """No terminal escapes."""
    with pytest.raises(VoiceRefused) as caught:
        check(tmp_path, plain(kind="\x1b[31mLoop" * 9).model())
    assert caught.value.sentence.isprintable()
    assert len(caught.value.sentence) < 160


def test_a_file_cut_anywhere_is_damaged_or_not_plain(tmp_path: Path) -> None:
    """Never accepted, never another error."""
    whole = plain().model()
    for length in range(1, len(whole) - 1):
        with pytest.raises(VoiceRefused) as caught:
            check(tmp_path, whole[:length])
        assert caught.value.code in {"graph_damaged", "graph_format"}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x05.", b"\xff" * 64])
def test_what_is_no_graph_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, an archive, a pickle, noise."""
    with pytest.raises(VoiceRefused):
        check(tmp_path, content)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """By its size alone: a hole of 10 GB."""
    path = tmp_path / "net.onnx"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(VoiceRefused, match="512 MB") as caught:
        onnx_guard.check(path)
    assert caught.value.code == "graph_size"


def test_too_many_parts_are_refused(tmp_path: Path) -> None:
    """Twenty thousand nodes are more than any such network has."""
    writer = plain()
    writer.nodes += [node("Relu")] * (onnx_guard.MAX_NODES + 1)
    with pytest.raises(VoiceRefused, match="more parts"):
        check(tmp_path, writer.model())


def test_a_path_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    """Absent, or a folder."""
    for path in (tmp_path / "nowhere.onnx", tmp_path):
        with pytest.raises(VoiceRefused) as caught:
            onnx_guard.check(path)
        assert caught.value.code == "graph_unreadable"
