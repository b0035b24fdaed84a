"""Who of the people in a picture wears which identity; `neural_face_wearer` asks once a frame, after tracking."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

from models.carried_faces import CarriedFaces
from models.engines import Frame
from models.swapper import Latent


class Bare(Enum):
    """The part of somebody who is left alone."""

    UNTOUCHED = "untouched"


Part = Latent | Literal[Bare.UNTOUCHED] | None
"""What a face wears; None is blurred. A picture with an untouched face is raw: the gate asks for passthrough."""


class Casting(Protocol):
    """The rule of one call; it may keep what it knows of the tracks between frames."""

    def cast(self, frame: Frame, seen: CarriedFaces) -> Sequence[Part]:
        """The parts of `seen.faces`, then of `seen.spares`, who can wear nothing but may be left alone.

        `frame` is raw still. May raise `NetworkError`: then nobody is shown.
        """

    def preferred(self) -> frozenset[int]:
        """Track ids that have a place before others, however small; asked after `cast`."""

    def reset(self) -> None:
        """The tracks start afresh: what was known of them means nothing any more."""


@dataclass(frozen=True, slots=True)
class OneForAll:
    """Every face that may wear an identity wears the same."""

    latent: Latent

    def cast(self, frame: Frame, seen: CarriedFaces) -> Sequence[Part]:
        """The one latent for each that has a place."""
        return [*[self.latent] * len(seen.faces), *[None] * len(seen.spares)]

    def preferred(self) -> frozenset[int]:
        """Nobody: the largest."""
        return frozenset()

    def reset(self) -> None:
        """Nothing is kept."""
