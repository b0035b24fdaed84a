"""One frame of one call between its two halves: faces are found and cut out, then the networks run, then it is pasted.

The networks' part lies between, so that faces of several calls go through them together (`neural_face_engine`).
"""

from dataclasses import dataclass, field

from models.carried_faces import CarriedFace, CarriedFaces
from models.engines import Frame
from models.enhancer_detail import Detail
from models.face_templates import Affine
from models.neural_paste import Alpha
from models.stage_watch import StageWatch
from models.swapper import Latent, SwappedCrop


@dataclass(slots=True, kw_only=True)
class FittedFace:
    """A face that is to wear `latent`: its aligned raw crop, and what the networks made of it.

    That is the swapper's answer, where it covers, and what an enhancer adds to it.
    Without an `alpha` the answer is not shown: the face is blurred. So it is when it was `asked` for without an answer.
    """

    face: CarriedFace
    to_crop: Affine
    crop: Frame
    latent: Latent
    asked: bool = False
    answer: SwappedCrop | None = None
    alpha: Alpha | None = None
    detail: Detail | None = None


@dataclass(slots=True, kw_only=True)
class Fitting:
    """A frame that is being worked on. What is not among `fitted` will be blurred, the whole frame if `covered`.

    The faces of the tracks `untouched` are left as they are.
    """

    frame: Frame
    seen: CarriedFaces
    fitted: list[FittedFace] = field(default_factory=list)
    covered: bool = False
    untouched: frozenset[int] = frozenset()
    watch: StageWatch = field(default_factory=StageWatch)
