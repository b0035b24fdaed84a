"""Placements as ONNX Runtime's provider options: names and values as its documentation has them."""

from pathlib import Path

import pytest

from models.placement import Placement, Shapes, providers

BATCHES: list[Shapes] = [{"target": (n, 3, 128, 128), "source": (n, 512)} for n in (1, 2, 4, 8)]


def test_a_placement_becomes_providers_with_what_a_live_server_needs(tmp_path: Path) -> None:
    """TensorRT keeps its engines where it is told to, norms in full precision, and CUDA, not the CPU, behind it."""
    assert providers(Placement()) == [("CPUExecutionProvider", {})]
    ((name, cuda),) = providers(Placement(provider="cuda", device=1))
    assert (name, cuda["device_id"]) == ("CUDAExecutionProvider", "1")
    assert cuda["cudnn_conv_algo_search"] == "HEURISTIC"
    first, second = providers(Placement(provider="tensorrt", half=True, cache=tmp_path))
    assert (first[0], second[0]) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert first[1]["trt_engine_cache_path"] == first[1]["trt_timing_cache_path"] == str(tmp_path)
    assert "trt_engine_cache_path" not in providers(Placement(provider="tensorrt"))[0][1]


@pytest.mark.parametrize("half", [True, False])
def test_tensorrt_s_switches_are_words(tmp_path: Path, *, half: bool) -> None:
    """ONNX Runtime's Python binding refuses the whole session for a "1" where it wants True."""
    placement = Placement(provider="tensorrt", half=half, captured=True, cache=tmp_path)
    trt = providers(placement, BATCHES[:1])[0][1]
    switches = {name: value for name, value in trt.items() if name.endswith(("_enable", "_fallback"))}
    assert switches.pop("trt_fp16_enable") == str(half)
    assert switches == dict.fromkeys(
        [
            "trt_layer_norm_fp32_fallback",
            "trt_cuda_graph_enable",
            "trt_engine_cache_enable",
            "trt_timing_cache_enable",
        ],
        "True",
    )


def test_only_what_is_to_be_captured_is() -> None:
    """CUDA captures each shape by its id; TensorRT's provider would replay one shape's run for another's."""
    assert "enable_cuda_graph" not in providers(Placement(provider="cuda"), BATCHES)[0][1]
    assert providers(Placement(provider="cuda", captured=True), BATCHES)[0][1]["enable_cuda_graph"] == "1"
    trt = Placement(provider="tensorrt", captured=True)
    assert providers(trt, BATCHES[:1])[0][1]["trt_cuda_graph_enable"] == "True"
    assert "trt_cuda_graph_enable" not in providers(trt, BATCHES)[0][1]
    assert "trt_cuda_graph_enable" not in providers(trt)[0][1]
    assert "enable_cuda_graph" not in providers(trt, BATCHES[:1])[1][1]


def test_tensorrt_is_told_the_range_of_an_open_batch() -> None:
    """Without it, every new batch size would build the engine anew, for minutes, in a call."""
    trt = providers(Placement(provider="tensorrt"), BATCHES)[0][1]
    assert trt["trt_profile_min_shapes"] == "target:1x3x128x128,source:1x512"
    assert trt["trt_profile_opt_shapes"] == "target:4x3x128x128,source:4x512"
    assert trt["trt_profile_max_shapes"] == "target:8x3x128x128,source:8x512"
    assert not any("profile" in option for option in providers(Placement(provider="tensorrt"), BATCHES[:1])[0][1])


def test_buffers_lie_where_the_network_runs() -> None:
    """TensorRT's too are CUDA's memory."""
    names = {provider: Placement(provider=provider).device_name for provider in ("cpu", "cuda", "tensorrt")}
    assert names == {"cpu": "cpu", "cuda": "cuda", "tensorrt": "cuda"}
    assert str(Placement(provider="tensorrt", half=True)) == "tensorrt, half precision"
