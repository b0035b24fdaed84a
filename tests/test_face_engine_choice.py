"""Which face engine runs, and what it says about it: with small files in the catalogue's place, on this CPU."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from models import face_engine_choice, swapper_choice
from models.catalog import EMBEDDED
from models.engines import FaceEngine, IdentitySource
from models.face_engine_choice import Choice, open_face_engine, planned_engine
from models.face_options import FaceOptions
from models.model_spec import ModelSpec
from models.neural_face_catalog import ARCFACE_R50, INSWAPPER_FP16, INSWAPPER_FP32, SCRFD_10G
from tests.asset_frames import MODELS, picture, with_golden
from tests.model_store import model_store
from tests.neural_parts import NARROW

FILES = {
    "SCRFD_10G": (SCRFD_10G, MODELS / "det_500m.onnx"),
    "ARCFACE_R50": (ARCFACE_R50, MODELS / "w600k_mbf_deq_fp32.onnx"),
    "INSWAPPER_FP16": (INSWAPPER_FP16, NARROW),
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with the embedded engine's files."""
    for spec in EMBEDDED:
        shutil.copy(model_store().path(spec), tmp_path / spec.name)
    return tmp_path


def _pinned(spec: ModelSpec, file: Path) -> ModelSpec:
    """The entry with the bytes of another file."""
    content = file.read_bytes()
    return replace(spec, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), also=())


@pytest.fixture
def weights(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store with small networks under the pinned names, and pins that are theirs."""
    for name, (spec, file) in FILES.items():
        target = store / spec.relative
        target.parent.mkdir(exist_ok=True)
        shutil.copy(file, target)
        if name != "INSWAPPER_FP16":
            monkeypatch.setattr(face_engine_choice, name, _pinned(spec, file))
    monkeypatch.setattr(swapper_choice, "INSWAPPERS", (_pinned(INSWAPPER_FP16, NARROW), INSWAPPER_FP32))
    return store


def why(engine: FaceEngine) -> str:
    """What the engine says decided for it."""
    reason: str = getattr(engine, "why", "")
    return reason


@pytest.mark.parametrize("choice", ["auto", "neural"])
def test_without_weights_it_is_the_embedded_engine_with_the_command(store: Path, choice: Choice) -> None:
    """Also when the neural one was asked for: the server starts, and says what is missing."""
    engine = open_face_engine(choice, str(store))
    assert engine.name == "mesh"
    assert "mirage-rtc models fetch inswapper_128_fp16.onnx" in why(engine)


@with_golden
def test_auto_never_takes_the_neural_engine_to_a_cpu(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all the weights there: the embedded one, and the reason."""
    monkeypatch.setattr(face_engine_choice, "available", lambda _: False)
    monkeypatch.setattr(face_engine_choice, "obstacle", lambda _: "no CUDA was built in")
    engine = open_face_engine("auto", str(weights))
    assert (engine.name, "no GPU" in why(engine)) == ("mesh", True)


@with_golden
def test_neural_runs_on_a_cpu_when_asked_for(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And swaps; it says which file it took, and where."""
    monkeypatch.setattr(face_engine_choice, "available", lambda _: False)
    monkeypatch.setattr(face_engine_choice, "obstacle", lambda _: "no CUDA was built in")
    engine = open_face_engine("neural", str(weights))
    assert (engine.name, why(engine)) == ("neural", "inswapper_128_fp16.onnx on cpu")
    wearer = engine.open(max_faces=1)
    wearer.wear(engine.prepare(IdentitySource(kind="mask", name="visor")))
    assert wearer.swap(picture("astronaut.png").copy(), 0.0).swapped == 1


@with_golden
def test_auto_takes_it_where_a_gpu_is_and_falls_back_when_that_fails(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that runs one node and no network: no neural engine, the server's sentence says so."""
    monkeypatch.setattr(face_engine_choice, "obstacle", lambda _: "")
    engine = open_face_engine("auto", str(weights))
    assert (engine.name, "cuda" in why(engine)) == ("mesh", True)


@with_golden
def test_neural_runs_on_the_cpu_where_the_runtime_is_a_gpu_s_and_the_gpu_is_not_there(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was asked for, with what keeps the GPU away; auto takes the embedded engine, for the same reason."""
    monkeypatch.setattr(face_engine_choice, "available", lambda _: True)
    monkeypatch.setattr(face_engine_choice, "obstacle", lambda _: "cuda lacks libcudnn.so.9.")
    neural, auto = (open_face_engine(choice, str(weights)) for choice in ("neural", "auto"))
    assert (neural.name, why(neural)) == ("neural", "inswapper_128_fp16.onnx on cpu cuda lacks libcudnn.so.9.")
    assert (auto.name, why(auto).endswith(" cuda lacks libcudnn.so.9.")) == ("mesh", True)


@with_golden
def test_embedded_is_embedded(weights: Path) -> None:
    """Whatever lies in the store."""
    engine = open_face_engine("embedded", str(weights))
    assert (engine.name, why(engine)) == ("mesh", "the configuration asks for it")


@with_golden
@pytest.mark.parametrize("name", list(FILES))
def test_a_damaged_file_is_named_with_what_mends_it(weights: Path, name: str) -> None:
    """A wrong hash is not run, not even once."""
    spec = FILES[name][0]
    with (weights / spec.relative).open("ab") as file:
        file.write(b"\0")
    engine = open_face_engine("neural", str(weights))
    assert engine.name == "mesh"
    assert spec.name in why(engine)
    assert "corrupt" in why(engine)
    assert f"mirage-rtc models fetch {spec.name}" in why(engine)


@with_golden
def test_a_network_of_another_kind_under_a_pinned_name_is_refused(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right bytes by the catalogue, the wrong inputs: the expectation is in the reason."""
    wrong = MODELS / "w600k_mbf_deq_fp32.onnx"
    shutil.copy(wrong, weights / SCRFD_10G.relative)
    monkeypatch.setattr(face_engine_choice, "SCRFD_10G", _pinned(SCRFD_10G, wrong))
    engine = open_face_engine("neural", str(weights))
    assert engine.name == "mesh"
    assert "is expected" in why(engine)


@with_golden
def test_the_full_precision_file_alone_is_enough(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either of the two."""
    (weights / INSWAPPER_FP16.relative).rename(weights / INSWAPPER_FP32.relative)
    pinned = (INSWAPPER_FP16, _pinned(INSWAPPER_FP32, NARROW))
    monkeypatch.setattr(swapper_choice, "INSWAPPERS", pinned)
    assert why(open_face_engine("neural", str(weights))) == "inswapper_128.onnx on cpu"


@with_golden
def test_weights_in_another_folder_are_used_where_they_lie(
    weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Such as ~/.insightface/models."""
    other = tmp_path_factory.mktemp("insightface")
    (weights / "buffalo_l").rename(other / "buffalo_l")
    assert open_face_engine("neural", str(weights)).name == "mesh"
    assert open_face_engine("neural", str(weights), [str(other)]).name == "neural"


@with_golden
def test_what_would_run_is_told_without_loading_it(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the doctor: the same answer as the lane's, of files alone."""
    monkeypatch.setattr(face_engine_choice, "GraphOpener", None)
    monkeypatch.setattr(face_engine_choice, "obstacle", lambda provider: "" if provider == "cuda" else "no TensorRT.")
    assert planned_engine("auto", str(weights)) == ("neural", "inswapper_128_fp16.onnx on cuda")
    tensorrt = FaceOptions(gpu_runtime="tensorrt")
    planned = planned_engine("auto", str(weights), options=tensorrt)
    assert planned == ("neural", "inswapper_128_fp16.onnx on cuda no TensorRT.")
    monkeypatch.setattr(face_engine_choice, "obstacle", lambda _: "")
    assert planned_engine("auto", str(weights), options=tensorrt)[1] == "inswapper_128_fp16.onnx on tensorrt"
    assert planned_engine("embedded", str(weights))[0] == "mesh"
    monkeypatch.setattr(face_engine_choice, "available", lambda _: False)
    monkeypatch.setattr(face_engine_choice, "obstacle", lambda _: "no CUDA was built in")
    assert planned_engine("neural", str(weights)) == ("neural", "inswapper_128_fp16.onnx on cpu")
    name, why = planned_engine("auto", str(weights))
    assert (name, "no GPU" in why) == ("mesh", True)
    (weights / SCRFD_10G.relative).unlink()
    name, why = planned_engine("neural", str(weights))
    assert (name, "models fetch det_10g.onnx" in why) == ("mesh", True)
