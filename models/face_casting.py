"""Who of the people in a picture wears which identity; `neural_face_wearer` asks once a frame, after tracking."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.carried_faces import CarriedFaces
from models.engines import Frame
from models.swapper import Latent


class Casting(Protocol):
    """The rule of one call; it may keep what it knows of the tracks between frames."""

    def cast(self, frame: Frame, seen: CarriedFaces) -> Sequence[Latent | None]:
        """For each of `seen.faces` what it wears; None is blurred. `frame` is raw still. May raise `NetworkError`."""

    def reset(self) -> None:
        """The tracks start afresh: their numbers mean nothing any more."""


@dataclass(frozen=True, slots=True)
class OneForAll:
    """Every face that may wear an identity wears the same."""

    latent: Latent

    def cast(self, frame: Frame, seen: CarriedFaces) -> Sequence[Latent | None]:
        """The one latent for each."""
        return [self.latent] * len(seen.faces)

    def reset(self) -> None:
        """Nothing is kept."""
