"""The visible "AI" badge (EU AI Act Art. 50, Code of Practice 2026: capital "AI", readable on any background).

Drawn into every generated picture before encoding, top right, moved to another corner when a face is there.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.engines import FaceBox

I420 = NDArray[np.uint8]
"""Planar YUV 4:2:0 as OpenCV and PyAV lay it out: (height * 3 // 2, width), uint8."""

HEIGHT_SHARE = 0.07
"""Badge height over the picture's short side; the floor of the design is 0.05."""


@lru_cache(maxsize=16)
def _patch(height_px: int) -> I420:
    """The badge as I420, `height_px` high (a multiple of 4), twice as wide."""
    width_px = height_px * 2
    image = Image.new("RGB", (width_px, height_px), (12, 14, 20))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width_px - 1, height_px - 1), outline=(255, 255, 255), width=max(1, height_px // 16))
    font = ImageFont.load_default(size=height_px * 0.72)
    draw.text((width_px / 2, height_px / 2), "AI", font=font, fill=(255, 255, 255), anchor="mm")
    return np.asarray(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2YUV_I420), dtype=np.uint8)


def _corners(width_px: int, height_px: int, badge_w_px: int, badge_h_px: int) -> list[tuple[int, int]]:
    """Top-left points to try, best first; even, so that chroma lines up."""
    margin = max(2, badge_h_px // 4) & ~1
    right, bottom = (width_px - badge_w_px - margin) & ~1, (height_px - badge_h_px - margin) & ~1
    return [(right, margin), (margin, margin), (right, bottom), (margin, bottom)]


def _covers_face(x_px: int, y_px: int, w_px: int, h_px: int, faces: tuple[FaceBox, ...]) -> bool:
    return any(
        x_px < face.x_px + face.width_px
        and face.x_px < x_px + w_px
        and y_px < face.y_px + face.height_px
        and face.y_px < y_px + h_px
        for face in faces
    )


def _blit(picture: I420, patch: I420, x_px: int, y_px: int) -> None:
    """Copy an I420 patch into an I420 picture at even coordinates."""
    height_px, width_px = picture.shape[0] * 2 // 3, picture.shape[1]
    patch_h, patch_w = patch.shape[0] * 2 // 3, patch.shape[1]
    picture[y_px : y_px + patch_h, x_px : x_px + patch_w] = patch[:patch_h]
    for plane in range(2):
        start = height_px * width_px + plane * (height_px // 2) * (width_px // 2)
        chroma = picture.reshape(-1)[start : start + (height_px // 2) * (width_px // 2)]
        source = patch.reshape(-1)[patch_h * patch_w + plane * (patch_h // 2) * (patch_w // 2) :]
        chroma.reshape(height_px // 2, width_px // 2)[
            y_px // 2 : (y_px + patch_h) // 2, x_px // 2 : (x_px + patch_w) // 2
        ] = source[: (patch_h // 2) * (patch_w // 2)].reshape(patch_h // 2, patch_w // 2)


def stamp(picture: I420, faces: tuple[FaceBox, ...] = ()) -> None:
    """Draw the badge into a contiguous I420 picture in place, in the first corner without a face."""
    height_px, width_px = picture.shape[0] * 2 // 3, picture.shape[1]
    badge_h = max(16, int(min(width_px, height_px) * HEIGHT_SHARE)) // 4 * 4
    patch = _patch(badge_h)
    corners = _corners(width_px, height_px, badge_h * 2, badge_h)
    free = [corner for corner in corners if not _covers_face(*corner, badge_h * 2, badge_h, faces)]
    _blit(picture, patch, *(free or corners)[0])
