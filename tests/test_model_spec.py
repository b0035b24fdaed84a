"""What the catalogue can say of a file."""

from pathlib import PurePosixPath

from models.model_spec import ModelSpec, Pin, TensorSpec, UrlFile, WheelMember


def test_a_file_has_a_place_and_every_accepted_pin() -> None:
    """Without a folder it lies at the root of the store."""
    spec = ModelSpec(
        name="net.onnx",
        role="test",
        bytes=3,
        sha256="ab",
        licence="MIT",
        commercial=True,
        source="test",
        origin=UrlFile(url="https://models.example/net.onnx"),
        also=(Pin(bytes=4, sha256="cd"),),
    )
    assert spec.relative == PurePosixPath("net.onnx")
    assert spec.pins == (Pin(bytes=3, sha256="ab"), Pin(bytes=4, sha256="cd"))


def test_a_wheel_is_required_in_exactly_one_version() -> None:
    """As pip writes it."""
    assert WheelMember(distribution="faces", version="1.0", member="a").requirement == "faces==1.0"


def test_a_tensor_reads_as_a_person_would_write_it() -> None:
    """For the sentence about a graph that does not fit."""
    assert str(TensorSpec(name="target", shape=(None, 3, 128, 128))) == "target float32 ?x3x128x128"
    assert str(TensorSpec(shape=(1,), dtype="int64")) == "int64 1"
