"""The enhancer in the engine: it adds to swaps that stand without it, and no fault of it costs or shows anything."""

import functools
import itertools
import threading
import time

import cv2
import numpy as np
import pytest

from models.engines import Enhancement, EnhancerMode, EnhancerWish, Frame, IdentitySource, Swap, SwapRequest
from models.enhancer_detail import FADE_FRAMES
from models.enhancer_graph import CODEFORMER_KIND
from models.enhancer_guard import FAILURES_TO_STOP, GuardedEnhancer
from models.enhancer_rests import LONGEST_FRAMES
from models.enhancer_stage import EnhancerStage
from models.enhancer_view import EnhancerView
from models.neural_face_engine import NeuralFaceEngine
from models.neural_face_wearer import NeuralFaceWearer
from models.runtime import NetworkError
from tests.asset_frames import frames, with_golden
from tests.enhancer_parts import FaultyEnhancer, enhanced_engine
from tests.neural_parts import small_engine

pytestmark = with_golden
CLIP = "grid_bbaf2n.mpg"
FIRST = IdentitySource(kind="mask", name="porcelain")
SECOND = IdentitySource(kind="mask", name="carved")


def call(
    one: NeuralFaceEngine, mode: EnhancerMode = "every", *, fidelity: float = 0.0, identity: IdentitySource = FIRST
) -> NeuralFaceWearer:
    """A call that wears a mask and wishes for an enhancer."""
    wearer = one.open(max_faces=1)
    wearer.wear(one.prepare(identity))
    wearer.enhance(EnhancerWish(mode=mode, fidelity=fidelity))
    return wearer


@functools.cache
def near() -> Frame:
    """One picture of the clip, from nearer: what an enhancer adds is finer than the clip's own pixels."""
    return np.asarray(cv2.resize(frames(CLIP)[5], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)


def shown(wearer: NeuralFaceWearer, count: int, still: bool = False) -> list[Swap]:
    """So many frames of the clip, or of one picture."""
    clip = frames(CLIP)
    return [wearer.swap((near() if still else clip[index]).copy(), index / 25) for index in range(count)]


def sharpness(picture: Frame) -> float:
    """How much it changes from pixel to pixel."""
    return float(cv2.Laplacian(picture, cv2.CV_64F).var())


@functools.cache
def plain(count: int, still: bool = False) -> list[Frame]:
    """The same without an enhancer."""
    one = small_engine()
    wearer = one.open(max_faces=1)
    wearer.wear(one.prepare(FIRST))
    return [swap.frame for swap in shown(wearer, count, still)]


def test_a_face_is_enhanced_within_the_swap_and_nowhere_else() -> None:
    """Coming over some frames; what the swap does not touch is touched by nobody."""
    enhancer = FaultyEnhancer(first=10**6)
    swaps = shown(call(enhanced_engine(enhancer)), FADE_FRAMES, still=True)
    raw, swapped = near(), plain(FADE_FRAMES, still=True)
    assert enhancer.runs == FADE_FRAMES
    sharp = [sharpness(swap.frame) for swap in swaps]
    assert sorted(sharp) == sharp
    assert sharp[-1] > 1.008 * sharp[0]
    enhanced, one = swaps[-1].frame, swapped[-1]
    touched = cv2.dilate((one != raw).any(axis=2).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    np.testing.assert_array_equal(enhanced[~touched], raw[~touched])
    assert swaps[-1].swapped == 1
    assert (swaps[-1].enhancement.model, swaps[-1].enhancement.every) == ("codeformer", 1)
    assert swaps[-1].stage_ms["enhance"] > 0


def test_where_none_is_wished_nothing_changes() -> None:
    """Bit by bit the swap, the enhancer is not asked."""
    enhancer = FaultyEnhancer(first=10**6)
    swaps = shown(call(enhanced_engine(enhancer), "off"), 4)
    for swap, one in zip(swaps, plain(4), strict=True):
        np.testing.assert_array_equal(swap.frame, one)
    assert enhancer.runs == 0
    assert swaps[-1].enhancement == Enhancement()


def test_until_an_enhancer_is_open_it_is_said_to_be_opened_and_if_it_never_is_to_have_failed() -> None:
    """The swaps go on without it meanwhile."""
    released = threading.Event()

    def refuse() -> FaultyEnhancer:
        released.wait(120)
        raise NetworkError("codeformer.onnx is another network")

    one = enhanced_engine(FaultyEnhancer(first=10**6))
    slow = GuardedEnhancer(CODEFORMER_KIND, refuse, clock=time.monotonic, open_s=0.0)
    one._enhancement = EnhancerStage(one.swapper, [slow])
    wearer = call(one)
    assert [swap.enhancement for swap in shown(wearer, 1)] == [Enhancement(paused="opening")]
    released.set()
    assert slow._open.wait(120)
    assert [swap.enhancement for swap in shown(wearer, 1)] == [Enhancement(paused="failed")]


def test_faces_of_two_calls_go_through_in_one_run_each_with_its_fidelity() -> None:
    """And each call gets back what it would have had alone."""
    enhancer = FaultyEnhancer(first=10**6)
    one = enhanced_engine(enhancer)
    alone = [shown(call(one, fidelity=share), 3, still=True)[-1].frame for share in (0.0, 0.6)]
    pair = [call(one, fidelity=share) for share in (0.0, 0.6)]
    enhancer.batches.clear()
    enhancer.fidelities.clear()
    raw = near()
    for index in range(3):
        answers = one.swap_batch([SwapRequest(wearer=each, frame=raw.copy(), time_s=index / 25) for each in pair])
    assert enhancer.batches == [2, 2, 2]
    assert enhancer.fidelities == [0.0, 0.6] * 3
    for answer, wanted in zip(answers, alone, strict=True):
        assert isinstance(answer, Swap)
        np.testing.assert_array_equal(answer.frame, wanted)


def test_between_its_runs_the_detail_stays_and_the_face_does_not_flicker() -> None:
    """Every third frame enhanced changes from frame to frame no more than every frame, and is as sharp throughout."""
    clip, counts, flicker, sharp = 24, [], {}, {}
    for every in (1, 3):
        enhancer = FaultyEnhancer(first=10**6)
        one = enhanced_engine(enhancer)
        one._enhancement.budget.every = every
        seen = [swap.frame.astype(np.int16) for swap in shown(call(one, "auto"), clip)][FADE_FRAMES:]
        flicker[every] = [float(np.abs(two - first).mean()) for first, two in itertools.pairwise(seen)]
        sharp[every] = [sharpness(picture.astype(np.uint8)) for picture in seen]
        counts.append(enhancer.runs)
    assert counts == [clip, clip // 3]
    assert np.mean(flicker[3]) <= 1.02 * np.mean(flicker[1])
    assert max(flicker[3]) <= 1.1 * max(flicker[1])
    assert np.mean(sharp[3]) > 0.97 * np.mean(sharp[1])


@pytest.mark.parametrize("fault", ["raises", "few"])
def test_an_enhancer_that_fails_costs_nothing_and_is_switched_off(fault: str) -> None:
    """Every frame is the plain swap, bit by bit, each fault is told, and after some the enhancer is left alone."""
    enhancer = FaultyEnhancer(fault)
    swaps = shown(call(enhanced_engine(enhancer)), FAILURES_TO_STOP + 2)
    for swap, one in zip(swaps, plain(FAILURES_TO_STOP + 2), strict=True):
        np.testing.assert_array_equal(swap.frame, one)
    assert all(swap.swapped == 1 for swap in swaps)
    assert all(swap.enhancement.fault for swap in swaps[:FAILURES_TO_STOP])
    assert enhancer.runs == FAILURES_TO_STOP
    assert swaps[-1].enhancement == Enhancement(paused="failed")


@pytest.mark.parametrize("fault", ["constant", "noise", "raw", "nothing"])
def test_a_face_that_is_not_believed_rests_and_is_the_plain_swap(fault: str) -> None:
    """One caller's face is no reason to take the enhancer from others, however often it is tried; it is told."""
    enhancer = FaultyEnhancer(fault)
    one = enhanced_engine(enhancer)
    wearer = call(one)
    swaps = shown(wearer, 4)
    for swap, wanted in zip(swaps, plain(4), strict=True):
        np.testing.assert_array_equal(swap.frame, wanted)
    assert [swap.enhancement.fault for swap in swaps] == ["enhancer not trusted", "", "", ""]
    assert [swap.enhancement.every for swap in swaps] == [1, 0, 0, 0]
    assert [swap.enhancement.paused for swap in swaps] == ["", "face", "face", "face"]
    for again in range(FAILURES_TO_STOP):
        for _ in range(LONGEST_FRAMES):
            wearer.enhancement.rests.next_frame()
        assert wearer.swap(near().copy(), again).enhancement.fault == "enhancer not trusted"
    assert enhancer.runs == 1 + FAILURES_TO_STOP
    enhancer.first = 10**6
    assert [swap.enhancement.every for swap in shown(call(one), 1)] == [1]


def test_an_enhancer_that_no_caller_s_face_is_believed_of_is_switched_off() -> None:
    """One caller after another, each of them at the first try."""
    enhancer = FaultyEnhancer("noise")
    one = enhanced_engine(enhancer)
    swaps = [shown(call(one), 1)[0] for _ in range(FAILURES_TO_STOP + 2)]
    assert enhancer.runs == FAILURES_TO_STOP
    assert [swap.enhancement.every for swap in swaps] == [1] * FAILURES_TO_STOP + [0, 0]


def test_one_caller_s_face_costs_another_in_the_same_run_nothing() -> None:
    """Their faces go through together, the first never is a picture: the second keeps its detail, and the enhancer."""
    enhancer = FaultyEnhancer("first")
    one = enhanced_engine(enhancer)
    pair = [call(one), call(one)]
    for again in range(FAILURES_TO_STOP + 1):
        for wearer in pair:
            for _ in range(LONGEST_FRAMES):
                wearer.enhancement.rests.next_frame()
        swaps = one.swap_batch([SwapRequest(wearer=each, frame=near().copy(), time_s=again / 25) for each in pair])
        faults = [swap.enhancement.fault for swap in swaps if isinstance(swap, Swap)]
        assert faults == ["enhancer not trusted", ""]
    assert enhancer.batches == [2] * (FAILURES_TO_STOP + 1)
    assert [len(wearer.enhancement.details) for wearer in pair] == [0, 1]


def test_a_fault_around_the_enhancer_costs_the_detail_and_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that cannot be laid out, whatever it is."""
    monkeypatch.setattr(EnhancerView, "shown", lambda *_: [][7])
    (swap,) = shown(call(enhanced_engine(FaultyEnhancer(first=10**6))), 1)
    np.testing.assert_array_equal(swap.frame, plain(1)[0])
    assert (swap.swapped, swap.enhancement.fault) == (1, "enhancer failed")


def test_an_enhancer_that_hangs_is_waited_for_once() -> None:
    """The frame goes out as it is, and so do those after it while the enhancer is at its first."""
    enhancer = FaultyEnhancer("hangs", 1, 1)
    swaps = shown(call(enhanced_engine(enhancer, late_s=0.05)), 4)
    enhancer.free.set()
    for swap, one in zip(swaps, plain(4), strict=True):
        np.testing.assert_array_equal(swap.frame, one)
    assert enhancer.runs == 1


def test_a_detail_is_of_one_identity_and_of_tracks_that_are_trusted() -> None:
    """Another face, or a call that starts afresh, has nothing of it."""
    enhancer = FaultyEnhancer(first=10**6)
    one = enhanced_engine(enhancer)
    wearer = call(one)
    shown(wearer, 4)
    assert wearer.enhancement.details
    wearer.reset()
    assert not wearer.enhancement.details
    shown(wearer, 4)
    wearer.wear(one.prepare(SECOND))
    assert not wearer.enhancement.details
    enhancer.fault, enhancer.first = "raises", 1
    (swap,) = shown(wearer, 1)
    other = small_engine()
    bare = other.open(max_faces=1)
    bare.wear(other.prepare(SECOND))
    np.testing.assert_array_equal(swap.frame, shown(bare, 1)[0].frame)


def test_when_the_budget_ends_it_the_detail_fades() -> None:
    """No step from sharp to plain; then the plain swap, and the next frames cost nothing."""
    enhancer = FaultyEnhancer(first=10**6)
    one = enhanced_engine(enhancer)
    wearer = call(one)
    shown(wearer, FADE_FRAMES, still=True)
    one._enhancement.budget.every = 0
    swaps = [wearer.swap(near().copy(), index / 25) for index in range(FADE_FRAMES, 2 * FADE_FRAMES)]
    sharp = [sharpness(swap.frame) for swap in swaps[:-1]]
    assert sorted(sharp, reverse=True) == sharp
    assert sharp[0] > 1.008 * sharp[-1]
    np.testing.assert_array_equal(swaps[-1].frame, plain(2 * FADE_FRAMES, still=True)[-1])
    assert swaps[-1].enhancement == Enhancement(paused="busy")
    assert not wearer.enhancement.details
    assert enhancer.runs == FADE_FRAMES
