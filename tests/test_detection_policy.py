"""The specification's words about detection, one by one."""

from collections.abc import Iterator
from itertools import cycle, repeat

import pytest

from models.detection_policy import Confidence, DetectionPolicy


def searched(policy: DetectionPolicy, confidences: list[float]) -> list[int]:
    """Which frames are searched when the frames' faces are as sure as that."""
    frames = []
    for index, confidence in enumerate(confidences):
        if policy.due():
            frames.append(index)
            policy.detected()
        policy.concluded([Confidence(confidence)])
    return frames


def looked_at(face: Confidence, scores: Iterator[float], frames: int, inlier_ratio: float = 1.0) -> list[int]:
    """Which frames are searched for one face whose detections give it these scores."""
    policy, searched = DetectionPolicy(), []
    for index in range(frames):
        face.carried(inlier_ratio)
        if policy.due():
            searched.append(index)
            policy.detected()
            face.detected(next(scores))
        policy.concluded([face])
    return searched


def test_run_detection_every_5_frames() -> None:
    """ "Run detection every 5 frames; reuse boxes otherwise"."""
    assert searched(DetectionPolicy(), [0.9] * 20) == [0, 5, 10, 15]


def test_force_immediate_redetect_below_070() -> None:
    """ "Force immediate re-detect if last confidence <0.70": the next frame, and from there every five again."""
    sure = [0.9] * 12
    assert searched(DetectionPolicy(), sure[:2] + [0.699] + sure) == [0, 3, 8, 13]
    assert searched(DetectionPolicy(), sure[:2] + [0.70] + sure) == [0, 5, 10]


def test_one_doubtful_face_of_several_is_enough() -> None:
    """The least sure face decides."""
    policy = DetectionPolicy()
    assert policy.due()
    policy.detected()
    policy.concluded([Confidence(0.95), Confidence(0.5)])
    assert policy.due()


def test_a_face_that_scores_low_each_time_is_looked_at_each_time() -> None:
    """The specification's words leave no pause, and with 0.71 in between there is one."""
    assert looked_at(Confidence(0.9), repeat(0.5), 6) == [0, 1, 2, 3, 4, 5]
    assert looked_at(Confidence(0.9), cycle([0.69, 0.71]), 12) == [0, 1, 6, 7]


def test_a_face_that_is_carried_badly_is_looked_at_in_the_next_frame() -> None:
    """The flow lost three tenths of it: it may be behind something."""
    assert looked_at(Confidence(0.9), repeat(0.9), 6, inlier_ratio=0.7) == [0, 2, 4]
    assert looked_at(Confidence(0.9), repeat(0.9), 6, inlier_ratio=0.8) == [0, 5]


def test_a_reused_box_s_confidence_is_the_last_score_times_the_flow_s_inlier_ratio() -> None:
    """So that "< 0.70" means something between detections; a detection starts anew."""
    confidence = Confidence(0.8)
    assert confidence.value == pytest.approx(0.8)
    confidence.carried(0.75)
    assert confidence.value == pytest.approx(0.6)
    confidence.carried(1.0)
    assert confidence.value == pytest.approx(0.8)
    confidence.carried(0.5)
    confidence.detected(0.9)
    assert confidence.value == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("scores", "stable"),
    [
        ([0.85, 0.85], False),
        ([0.85, 0.85, 0.85], True),
        ([0.9, 0.9, 0.84, 0.9, 0.9], False),
        ([0.9, 0.9, 0.84, 0.9, 0.9, 0.9], True),
        ([0.9, 0.9, 0.9, 0.84], False),
    ],
)
def test_stable_when_confidence_085_for_3_consecutive_detections(scores: list[float], stable: bool) -> None:
    """ "Consider face track stable when confidence >=0.85 for 3 consecutive detections"."""
    confidence = Confidence(scores[0])
    for score in scores[1:]:
        confidence.carried(0.4)  # what happens between detections is not one
        confidence.detected(score)
    assert confidence.stable is stable


def test_a_detection_that_misses_the_face_ends_what_is_consecutive() -> None:
    """It was looked for, and not seen."""
    confidence = Confidence(0.9)
    confidence.detected(0.9)
    confidence.missed()
    confidence.detected(0.9)
    assert not confidence.stable
