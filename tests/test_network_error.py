"""What an exception says in a sentence of ours."""

import weakref

import pytest

from models.network_error import SAID_MAX, NetworkError, first_line, without_frames

REASON = "Failed to find kernel for Cast(-1) (node:'/MatmulTransposeFusion/' ep:'CUDAExecutionProvider')."


@pytest.mark.parametrize(
    "said",
    [
        f"/onnxruntime_src/transformer_memcpy.cc:467 bool onnxruntime::{'x' * 500}() status.IsOK() was false. {REASON}",
        f"/onnxruntime_src/pybind_state.cc {'y' * 500} [ERROR] {REASON}",
        f"{REASON}\n Version mismatch.\n Version mismatch.",
    ],
    ids=["check", "long", "lines"],
)
def test_the_reason_is_told_whatever_stands_before_it(said: str) -> None:
    """ONNX Runtime begins with a path and a signature of C++, which are longer than a sentence."""
    told = first_line(RuntimeError(said))
    assert told.endswith(REASON)
    assert len(told) <= SAID_MAX


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (
            "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: /onnxruntime_src/onnxruntime/core/common/"
            "safeint.h:17 static void SafeIntExceptionHandler<onnxruntime::OnnxRuntimeException>::SafeIntOnOverflow() "
            "Integer overflow",
            "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: Integer overflow",
        ),
        (
            "/onnxruntime_src/onnxruntime/python/pybind_state.cc:729 void onnxruntime::python::RegisterTensor"
            "RTPluginsAsCustomOps(PySessionOptions&, const onnxruntime::ProviderOptions&) Please install TensorRT.",
            "Please install TensorRT.",
        ),
        (
            "/onnxruntime_src/onnxruntime/core/optimizer/transformer_memcpy.cc:467 bool onnxruntime::TransformerMemcpy"
            "Impl::ProcessInitializers(const onnxruntime::logging::Logger&) status.IsOK() was false. No kernel.",
            "No kernel.",
        ),
        ("/data/net.onnx: no such file (or folder)", "/data/net.onnx: no such file (or folder)"),
    ],
    ids=["initialization", "plain", "check", "ours"],
)
def test_where_in_c_plus_plus_it_was_said_is_left_out(said: str, wanted: str) -> None:
    """As ONNX Runtime 1.31.1 writes them."""
    assert first_line(RuntimeError(said)) == wanted


def test_a_kept_error_keeps_nothing_else_alive() -> None:
    """The calls that led to it hold what failed, and so do those of the error before it."""

    class Network:
        """Half a gigabyte."""

    def fail(network: Network) -> None:
        try:
            raise RuntimeError(str(network))
        except RuntimeError as error:
            raise NetworkError("no") from error

    network = Network()
    held = weakref.ref(network)
    try:
        fail(network)
    except NetworkError as error:
        kept = without_frames(error)
    del network
    assert (str(kept), held()) == ("no", None)


def test_what_says_nothing_is_named() -> None:
    """By its kind."""
    assert first_line(KeyError()) == "KeyError"
    assert first_line(ValueError(" \n ")) == "ValueError"
