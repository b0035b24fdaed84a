"""The faces that were here a moment ago and are not followed now: where to blur, whom to miss. For `face_tracker`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.geometry import Floats, coincides, distance, grown
from models.point_carrier import Grey

_KEEP_S = 1.0  # how long a face that vanished is remembered
_MARGIN = 0.25  # of a blurred box: detections reach from brow to chin only
_DRIFT_PER_S = 0.8  # how much wider, in sides a second, the place of a vanished face grows
_REACH, _REACH_PER_S = 1.0, 5.0  # in face sides, from where a face was lost to where it is found again


@dataclass(slots=True, kw_only=True, eq=False)
class VanishedFace:
    """A place where a face was last seen at `time_s`: a lost track with its `track_id`, or a detection that landmarks
    could not be had for. `chosen` when it wore the identity; `look` is what it looked like, where that is known.
    """

    box: Floats
    time_s: float
    track_id: int | None = None
    chosen: bool = False
    look: Grey | None = None


class VanishedFaces:
    """The vanished faces of one call, each remembered for one second, and until it was looked for after that."""

    def __init__(self) -> None:
        self._faces: list[VanishedFace] = []

    @property
    def boxes(self) -> list[Floats]:
        """Where they were last seen."""
        return [face.box for face in self._faces]

    @property
    def any_lost(self) -> bool:
        """Whether a face that was followed is among them."""
        return any(face.track_id is not None for face in self._faces)

    @property
    def reserved(self) -> int:
        """How many of them wore the identity: their places are kept for them."""
        return sum(face.chosen for face in self._faces)

    def remember(self, face: VanishedFace) -> None:
        """One more."""
        self._faces.append(face)

    def claim(self, box: Floats, time_s: float) -> VanishedFace | None:
        """The vanished face that one detected at `box` most likely is, taken off the list: wearers first, then near.

        Wearers are claimed only where they were: somebody else in their place would show them raw where they are.
        """
        apart = [(float(distance(box, face.box[None])[0]), face) for face in self._faces]
        near = [(d, face) for d, face in apart if d < _reach(face, time_s)]
        if not near:
            return None
        _, claimed = min(near, key=lambda pair: (not pair[1].chosen, pair[1].track_id is None, pair[0]))
        self._faces.remove(claimed)
        return claimed

    def explain(self, boxes: Sequence[Floats]) -> None:
        """Forget those whose place is that of a face seen now."""
        self._faces = [face for face in self._faces if not any(coincides(face.box, box) for box in boxes)]

    def forget(self, time_s: float, is_there: Callable[[VanishedFace], bool] = lambda _: False) -> None:
        """Forget those not seen for a second. To be asked after a search only: who is not looked for is not gone.

        A wearer who `is_there` still, though not found, is not forgotten.
        """
        self._faces = [
            face for face in self._faces if time_s - face.time_s <= _KEEP_S or (face.chosen and is_there(face))
        ]

    def rescale(self, x_scale: float, y_scale: float) -> None:
        """The picture has another size now."""
        for face in self._faces:
            face.box = np.asarray(face.box * np.array([x_scale, y_scale] * 2), np.float32)

    def missing(self, time_s: float) -> bool:
        """Whether one that wore the identity is not even detected in the frame of `time_s`."""
        return any(face.chosen and face.time_s < time_s for face in self._faces)

    def blurs(self, time_s: float, worn: Sequence[Floats]) -> list[Floats]:
        """Boxes to blur, wider the longer a face has been away; none where a face at `worn` is swapped anyway."""
        return [
            grown(face.box, _MARGIN + _DRIFT_PER_S * (time_s - face.time_s))
            for face in self._faces
            if not any(coincides(face.box, box) for box in worn)
        ]


def _reach(face: VanishedFace, time_s: float) -> float:
    """How far from its place, in sides, a face may be found again."""
    return _REACH if face.chosen else _REACH + _REACH_PER_S * (time_s - face.time_s)
