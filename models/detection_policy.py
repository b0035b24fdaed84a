"""When to look for faces anew, and which of them to call stable: the specification's numbers, and nothing else.

"Run detection every 5 frames; reuse boxes otherwise. Force immediate re-detect if last confidence <0.70. Consider face
track stable when confidence >=0.85 for 3 consecutive detections." A reused box has no score of its own: its confidence
is the last detection's score times the share of the features inside it that moved with it. Used by `carried_faces`.

So a face that scores below 0.70 whenever it is looked at is searched for in every frame: dim or turned away, it is the
one that drift and occlusion threaten most.
"""

from collections.abc import Iterable

DETECT_EVERY = 5
"""Frames from one detection to the next."""
REDETECT_BELOW = 0.70
STABLE_FROM, STABLE_DETECTIONS = 0.85, 3


class Confidence:
    """How sure one face is. Starts with the score, in [0, 1], of the detection that found it."""

    def __init__(self, score: float) -> None:
        self._inlier_ratio = 1.0
        self._sure = 0
        self.detected(score)

    @property
    def value(self) -> float:
        """The last score times the flow's inlier ratio since, in [0, 1]."""
        return self._score * self._inlier_ratio

    @property
    def doubtful(self) -> bool:
        """Whether the next frame is to be searched."""
        return self.value < REDETECT_BELOW

    @property
    def stable(self) -> bool:
        """Whether the last three detections were sure of it."""
        return self._sure >= STABLE_DETECTIONS

    def detected(self, score: float) -> None:
        """A detection found it again."""
        self._score, self._inlier_ratio = score, 1.0
        self._sure = self._sure + 1 if score >= STABLE_FROM else 0

    def missed(self) -> None:
        """A detection did not find it: what is consecutive starts over, its confidence stays that of the flow."""
        self._sure = 0

    def carried(self, inlier_ratio: float) -> None:
        """Between detections it was carried by the optical flow, of which this share, in [0, 1], agrees."""
        self._inlier_ratio = inlier_ratio


class DetectionPolicy:
    """Counts the frames of one call. Ask `due` once a frame, say `detected` when the detector ran."""

    def __init__(self) -> None:
        self._since = DETECT_EVERY
        self._forced = False

    def due(self) -> bool:
        """Whether this frame is to be searched for faces: the first, every fifth, and one after a doubtful one."""
        self._since += 1
        return self._forced or self._since >= DETECT_EVERY

    def detected(self) -> None:
        """This frame was searched."""
        self._since = 0

    def concluded(self, faces: Iterable[Confidence]) -> None:
        """How sure this frame's faces are: a doubtful one forces a detection in the next frame."""
        self._forced = any(face.doubtful for face in faces)
