"""Networks at fixed shapes through buffers of their own: on the CPU's provider, with real ONNX Runtime."""

import threading
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import graph_trial, runtime, static_graph, synthetic_identity
from models.bound_shape import BoundShape, bind
from models.engines import IdentitySource, Swap, SwapRequest
from models.model_spec import GraphContract, TensorSpec
from models.neural_face_catalog import INSWAPPER_CONTRACT, SCRFD_CONTRACT
from models.neural_face_engine import NeuralFaceEngine
from models.neural_graph import with_open_batch
from models.placement import Placement, Shapes
from models.runtime import NetworkError, OnnxGraph, SessionRefused
from models.static_graph import StaticGraph, StaticShapes
from tests.asset_frames import MODELS, picture, with_golden
from tests.neural_parts import NARROW, small_engine
from tests.onnx_writer import GraphWriter

CPU = Placement()
BATCHES = StaticShapes(batches=(1, 2, 4))
CONTRACT = GraphContract(
    inputs=(TensorSpec(name="x", shape=(None, 3, 8)), TensorSpec(name="scale", shape=(None, 1))),
    outputs=(TensorSpec(shape=(None, 3, 8)),),
)


def scaled_rows(*, whole_batch: bool = False, mixed: bool = False, batch: int | str = "N") -> bytes:
    """y = x * scale, by row; `whole_batch` takes the mean of all rows, `mixed` adds it to each: nothing for faces."""
    writer = GraphWriter()
    product = writer.node("Mul", [writer.input("x", (batch, 3, 8)), writer.node("Unsqueeze", ["scale"], axes=[2])])
    writer.input("scale", (batch, 1))
    if whole_batch:
        product = writer.node("ReduceMean", [product], axes=[0], keepdims=1)
    if mixed:
        product = writer.node("Add", [product, writer.node("ReduceMean", [product], axes=[0], keepdims=1)])
    writer.node("Identity", [product], "y")
    writer.output("y", (batch, 3, 8))
    return writer.model()


def graph(shapes: StaticShapes = BATCHES, placement: Placement = CPU, **changes: Any) -> StaticGraph:
    """The row scaler at those shapes."""
    return StaticGraph(Path("rows.onnx"), CONTRACT, shapes, placement=placement, content=scaled_rows(**changes))


def rows(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Feeds of so many rows."""
    rng = np.random.default_rng(seed)
    return {"x": rng.random((count, 3, 8), np.float32), "scale": rng.random((count, 1), np.float32) + 1}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_any_number_of_rows_goes_through_and_each_row_is_its_own(count: int) -> None:
    """Between two sizes it is padded, above the largest it goes in turns."""
    made, feeds = graph(), rows(count)
    (out,) = made.run(feeds)
    np.testing.assert_array_equal(out, feeds["x"] * feeds["scale"][..., None])


def test_a_file_whose_batch_is_fixed_is_run_row_by_row() -> None:
    """Many published exports are: the shapes that were asked for are its own one."""
    made, feeds = graph(batch=1), rows(3)
    assert list(made._bound) == [(1, 3, 8)]
    np.testing.assert_array_equal(made.run(feeds)[0], feeds["x"] * feeds["scale"][..., None])


def test_padding_is_nothing_of_another_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lay in a buffer is gone before the next run: four faces, then one and a padded three."""
    made = graph(StaticShapes(batches=(4,)))
    fed: list[np.ndarray] = []
    bound = made._bound[4, 3, 8]
    update = bound.inputs["x"].update_inplace

    class Watched:
        def update_inplace(self, value: np.ndarray) -> None:
            fed.append(value.copy())
            update(value)

    monkeypatch.setitem(bound.inputs, "x", Watched())
    made.run(rows(4, seed=1))
    (out,) = made.run(rows(3, seed=2))
    assert out.shape == (3, 3, 8)
    assert np.abs(fed[0][3]).min() > 0
    assert not fed[1][3].any()


def test_answers_belong_to_the_caller_and_buffers_stay_where_they_are() -> None:
    """A run changes no former answer, nothing is allocated anew: a captured run reads and writes fixed addresses."""
    made = graph()
    values = [value for bound in made._bound.values() for value in (*bound.inputs.values(), *bound.outputs)]
    before = [value.data_ptr() for value in values]
    (first,) = made.run(rows(2, seed=3))
    kept = first.copy()
    for count in (2, 1, 4, 3, 2):
        made.run(rows(count, seed=count))
    np.testing.assert_array_equal(first, kept)
    assert [value.data_ptr() for value in values] == before


def test_another_thread_than_its_own_is_refused() -> None:
    """A replay in two threads gives one caller another's face: never, even where it would go well."""
    made, refused = graph(), []

    def run() -> None:
        try:
            made.run(rows(1))
        except NetworkError as error:
            refused.append(error.sentence)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert refused == ["rows.onnx was run by a thread that is not its own"]
    made.run(rows(1))


def test_a_shape_that_was_not_made_is_refused() -> None:
    """It would be built or allocated in a call; feeds of unlike length are no batch."""
    made = graph()
    with pytest.raises(NetworkError, match="was made for"):
        made.run({"x": np.zeros((1, 3, 9), np.float32), "scale": np.ones((1, 1), np.float32)})
    with pytest.raises(NetworkError, match="failed while it ran"):
        made.run({"x": np.zeros((2, 3, 8), np.float32), "scale": np.ones((3, 1), np.float32)})


def test_a_network_that_does_not_keep_rows_apart_is_refused() -> None:
    """One answer for the whole batch: a face would be made of everybody's."""
    with pytest.raises(NetworkError, match="takes no batch"):
        graph(whole_batch=True)


def test_a_network_whose_rows_depend_on_each_other_is_refused() -> None:
    """As many answers as faces, and each with something of the others' in it."""
    with pytest.raises(NetworkError, match="among others"):
        graph(mixed=True)


def test_the_contract_is_asked_for() -> None:
    """As of every other graph."""
    other = replace(CONTRACT, outputs=(TensorSpec(shape=(None, 4, 8)),))
    with pytest.raises(NetworkError, match="is expected"):
        StaticGraph(Path("rows.onnx"), other, BATCHES, placement=CPU, content=scaled_rows())


def test_every_shape_is_warm_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """And run often enough to be captured, each by an id of its own."""
    ids: list[int] = []
    runs: list[int] = []
    real_options, real_run = runtime.run_options, BoundShape.run

    def options(placement: Placement, graph_id: int) -> Any:
        ids.append(graph_id)
        return real_options(placement, graph_id)

    def run(self: BoundShape, feeds: Any, count: int, *, replay: bool = True) -> Any:
        runs.extend([self.batch] if replay else [])
        return real_run(self, feeds, count, replay=replay)

    monkeypatch.setattr(runtime, "run_options", options)
    monkeypatch.setattr(BoundShape, "run", run)
    made = graph(placement=Placement(captured=True))
    assert ids == [-1, 1, -1, 2, -1, 3]
    assert made.captured
    assert {batch: runs.count(batch) > static_graph.RUNS_TO_CAPTURE for batch in (1, 2, 4)} == dict.fromkeys(
        (1, 2, 4), True
    )


@pytest.mark.parametrize("spoiled_by", [1, 2, 4], ids=lambda batch: f"from the capture of {batch}")
def test_a_replay_that_answers_otherwise_than_the_plain_run_is_not_used(
    monkeypatch: pytest.MonkeyPatch, spoiled_by: int
) -> None:
    """Its own capture, or that of a later shape, may go wrong, and replays agree with each other all the same."""
    run, opened, capturing, captures = BoundShape.run, StaticGraph._open, [True], set[int]()

    def stale(self: BoundShape, feeds: Any, count: int, *, replay: bool = True) -> tuple[np.ndarray, ...]:
        captures.update({self.batch} if replay else ())
        wrong = capturing[0] and replay and self.batch == 1 and spoiled_by in captures
        return tuple(out * (3 if wrong else 1) for out in run(self, feeds, count, replay=replay))

    def open_it(self: StaticGraph, shapes: StaticShapes, placement: Placement) -> None:
        capturing[0] = placement.captured
        opened(self, shapes, placement)

    monkeypatch.setattr(BoundShape, "run", stale)
    monkeypatch.setattr(StaticGraph, "_open", open_it)
    made = graph(placement=Placement(captured=True))
    assert not made.captured
    np.testing.assert_array_equal(made.run(rows(1))[0], rows(1)["x"] * rows(1)["scale"][..., None])


def test_a_run_waits_for_no_other_stream() -> None:
    """The device's own wait is one for every stream of the process: a late enhancer would make the swapper late."""
    made, feeds = graph(), rows(2)
    bound = made._bound[2, 3, 8]

    class Own:
        """The binding without what waits for the whole device."""

        def __init__(self, binding: Any) -> None:
            self._binding = binding

        def __getattr__(self, name: str) -> Any:
            if name.startswith("synchronize"):
                raise AttributeError(name)
            return getattr(self._binding, name)

    bound.binding = Own(bound.binding)
    np.testing.assert_array_equal(made.run(feeds)[0], feeds["x"] * feeds["scale"][..., None])


@pytest.mark.parametrize("fault", ["capture", "agreement"])
def test_nothing_of_a_refused_session_is_left_when_the_next_is_opened(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A swapper is half a gigabyte of the GPU's memory, and an error that is kept keeps all that led to it."""
    made: list[weakref.ref[Any]] = []
    alive: list[int] = []
    opened, run = runtime.open_session, BoundShape.run

    def watched(*arguments: Any, **options: Any) -> Any:
        alive.append(sum(one() is not None for one in made))
        session = opened(*arguments, **options)
        made.append(weakref.ref(session))
        return session

    def wrong(self: BoundShape, feeds: Any, count: int, *, replay: bool = True) -> tuple[np.ndarray, ...]:
        if fault == "capture" and len(made) == 1:
            raise RuntimeError("cannot be captured")
        return tuple(out * (2 if replay and len(made) == 1 else 1) for out in run(self, feeds, count, replay=replay))

    monkeypatch.setattr(runtime, "open_session", watched)
    monkeypatch.setattr(BoundShape, "run", wrong)
    kept = graph(placement=Placement(captured=True))
    assert (alive, kept.captured) == ([0, 0], False)


def test_sizes_that_only_the_cpu_works_out_are_no_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no numbers of a picture: captured with leave, which ONNX Runtime refuses where something is copied."""
    asked: list[Placement] = []
    opened = runtime.open_session

    def picky(path: Path, placement: Placement, **options: Any) -> Any:
        asked.append(placement)
        if not placement.allow_cpu_nodes:
            raise SessionRefused("nodes are assigned to the default CPU EP", on_cpu=True)
        return opened(path, placement, **options)

    monkeypatch.setattr(runtime, "open_session", picky)
    assert graph(placement=Placement(captured=True)).captured
    assert [(place.captured, place.allow_cpu_nodes) for place in asked] == [(True, False), (True, True)]
    asked.clear()
    with pytest.raises(SessionRefused, match="default CPU EP"):
        graph(placement=Placement(captured=False))
    assert [(place.captured, place.allow_cpu_nodes) for place in asked] == [(False, False)]


def _asked_of_tensorrt(
    monkeypatch: pytest.MonkeyPatch, contract: GraphContract, content: bytes, shapes: StaticShapes, cache: Path
) -> list[tuple[Path | None, Sequence[Shapes]]]:
    """The folders and ranges that its sessions were to be opened with; the CPU opens them."""
    asked: list[tuple[Path | None, Sequence[Shapes]]] = []
    opened = runtime.open_session

    def watched(path: Path, placement: Placement, **options: Any) -> Any:
        if placement.provider == "tensorrt":
            asked.append((placement.cache, options["shapes"]))
        return opened(path, CPU, **options)

    monkeypatch.setattr(runtime, "open_session", watched)
    monkeypatch.setattr(static_graph, "bind", lambda session, feeds, _, number: bind(session, feeds, CPU, number))
    placement = Placement(provider="tensorrt", cache=cache)
    StaticGraph(Path("net.onnx"), contract, shapes, placement=placement, content=content)
    return asked


def test_tensorrt_is_told_the_range_by_the_file_s_own_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A contract may leave the name open, and a file's batch may be fixed: else it would build anew at each size."""
    unnamed = replace(CONTRACT, inputs=tuple(replace(tensor, name="") for tensor in CONTRACT.inputs))
    ((cache, ranges),) = _asked_of_tensorrt(monkeypatch, unnamed, scaled_rows(), BATCHES, tmp_path)
    assert ranges == [{"x": (n, 3, 8), "scale": (n, 1)} for n in (1, 2, 4)]
    assert cache == tmp_path
    monkeypatch.undo()
    ((_, fixed),) = _asked_of_tensorrt(monkeypatch, CONTRACT, scaled_rows(batch=1), BATCHES, tmp_path)
    assert fixed == [{"x": (1, 3, 8), "scale": (1, 1)}]


def test_each_size_of_a_picture_keeps_its_engine_in_a_folder_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """TensorRT's provider names it by the graph and not by its shapes, and would load one for the other."""
    writer = GraphWriter()
    writer.node("Sigmoid", [writer.input("x", (1, 3, "h", "w"))], "y")
    writer.output("y", (1, 3, "h", "w"))
    contract = GraphContract(
        inputs=(TensorSpec(name="x", shape=(1, 3, None, None)),), outputs=(TensorSpec(shape=(1, 3, None, None)),)
    )
    asked = _asked_of_tensorrt(monkeypatch, contract, writer.model(), StaticShapes(sizes_px=(16, 32)), tmp_path)
    assert [(cache, [sizes["x"] for sizes in ranges]) for cache, ranges in asked] == [
        (tmp_path / "16px", [(1, 3, 16, 16)]),
        (tmp_path / "32px", [(1, 3, 32, 32)]),
    ]
    assert all(cache is not None and cache.is_dir() for cache, _ in asked)


def test_a_run_that_cannot_be_captured_is_run_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime refuses the session; without leave to go uncaptured nobody would have a face."""
    opened = runtime.open_session

    def picky(path: Path, placement: Placement, **options: Any) -> Any:
        if placement.captured:
            raise NetworkError("this session cannot use the graph capture feature")
        return opened(path, placement, **options)

    monkeypatch.setattr(runtime, "open_session", picky)
    made = graph(placement=Placement(captured=True))
    assert not made.captured
    assert made.run(rows(3))[0].shape == (3, 3, 8)


@with_golden
def test_a_detector_has_a_session_for_each_size_with_nothing_left_to_work_out() -> None:
    """SCRFD's graph asks for its own shape in a dozen places: a GPU's provider would leave those to the CPU."""
    made = StaticGraph(MODELS / "det_500m.onnx", SCRFD_CONTRACT, StaticShapes(sizes_px=(64, 96)), placement=CPU)
    assert made.inputs[0].shape == (1, 3, None, None)
    plain = OnnxGraph(MODELS / "det_500m.onnx")
    for side_px in (96, 64):
        feeds = graph_trial.noise(made.inputs, {"input.1": (1, 3, side_px, side_px)}, side_px)
        _agree(made.run(feeds), plain.run(feeds))
        session = made._bound[1, 3, side_px, side_px].session
        assert [tensor.shape for tensor in session.get_inputs()] == [[1, 3, side_px, side_px]]


def _agree(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> None:
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)


@with_golden
def test_the_neural_engine_swaps_through_static_networks_as_through_open_ones() -> None:
    """Detector, swapper and all between: the same picture, to rounding, alone and two calls in a run."""
    detector = StaticGraph(MODELS / "det_500m.onnx", SCRFD_CONTRACT, StaticShapes(sizes_px=(320, 640)), placement=CPU)
    content = with_open_batch(NARROW.read_bytes())
    swapper = StaticGraph(NARROW, INSWAPPER_CONTRACT, BATCHES, placement=CPU, content=content)
    wanted, found = (
        _two_calls(small_engine(), batched=False),
        _two_calls(small_engine(detector=detector, swapper=swapper), batched=True),
    )
    for one, other in zip(wanted, found, strict=True):
        assert (one.swapped, other.swapped) == (1, 1)
        assert one.faces[0].x_px == pytest.approx(other.faces[0].x_px, abs=0.01)
        assert np.abs(one.frame.astype(int) - other.frame).mean() < 0.1


def _two_calls(engine: NeuralFaceEngine, *, batched: bool) -> list[Swap]:
    requests = []
    for seed, name in enumerate(("astronaut.png", "grid_bbaf2n.mpg@5")):
        wearer = engine.open(max_faces=1)
        wearer.wear(engine.prepare(IdentitySource(kind="mask", name=f"{synthetic_identity.PREFIX}{seed}")))
        requests.append(SwapRequest(wearer=wearer, frame=picture(name).copy(), time_s=1.0))
    if not batched:
        return [request.wearer.swap(request.frame, request.time_s) for request in requests]
    swaps = engine.swap_batch(requests)
    return [swap for swap in swaps if isinstance(swap, Swap)]
