"""What makes a source portrait unusable, in the same codes and words for both face engines."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from models.engines import Frame, IdentitySource, PortraitError

SECOND_FACE_SHARE = 0.35
"""A second face counts when its side is at least this share of the first one's: bystanders on posters do not."""
MIN_FACE_PX = 80

MAX_PICTURES = 8
"""Portraits of one identity."""

T = TypeVar("T")


def picture(source: IdentitySource) -> Frame:
    """The portrait of a source. Raises `PortraitError` when it has none."""
    if source.portrait is None:
        raise PortraitError("portrait_no_face", "There is no picture. Choose one that shows a face from the front.")
    return source.portrait


def pictures(source: IdentitySource) -> tuple[Frame, ...]:
    """All portraits of a source. Raises `PortraitError` when it has none."""
    return (picture(source), *source.more)


def only_face(found: Sequence[T], side_px: Callable[[T], float]) -> T:
    """The one face of those found. Raises `PortraitError` for none, and for a second one of nearly its size."""
    ranked = sorted(found, key=lambda face: -side_px(face))
    if not ranked:
        raise PortraitError(
            "portrait_no_face", "No face was found. Use a picture with one face, from the front and well lit."
        )
    if len(ranked) > 1 and side_px(ranked[1]) > SECOND_FACE_SHARE * side_px(ranked[0]):
        raise PortraitError(
            "portrait_several_faces", "There is more than one face. Crop the picture to the one to be worn."
        )
    return ranked[0]


def require_size(side_px: float) -> None:
    """Raises `PortraitError` for a face lower than `MIN_FACE_PX`."""
    if side_px < MIN_FACE_PX:
        raise PortraitError(
            "portrait_face_too_small",
            f"The face is only {side_px:.0f} pixels high. Use a picture in which it is at least {MIN_FACE_PX}.",
        )


def turned_away() -> PortraitError:
    """For a face in profile."""
    return PortraitError(
        "portrait_no_face", "The face is seen from the side. Use a picture that looks towards the camera."
    )


def somebody_else(index: int) -> PortraitError:
    """For several portraits that are not all of one person; `index`, from 0, is least like the others."""
    return PortraitError(
        "portraits_differ",
        f"Picture {index + 1} seems to show somebody else than the others. Send pictures of one person only.",
    )


def unusable(faults: Sequence[tuple[int, PortraitError]]) -> PortraitError:
    """For several portraits of which some cannot be used: each is named, counted from 1."""
    named = " ".join(f"Picture {index + 1}: {fault.sentence}" for index, fault in faults)
    return PortraitError("portraits_unusable", named)
