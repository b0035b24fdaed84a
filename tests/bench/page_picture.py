"""The picture of the call page in the README, from the repository's root:

    python -m tests.bench.page_picture [file, default docs/page.png]

A real call from a real Chromium; its camera is a head that is drawn here, of nobody, and its microphone speech from
nothing (`tests.speech`), so that the picture shows no work and no face of anybody.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.engines import Frame
from tests.browser import chromium, running_server
from tests.media import Clip
from tests.speech import speech

SIDE_PX, FPS, SECONDS = 512, 25, 4
SETTLED_S = 30.0
"""What the figures below the stage need to fill their curves."""
COLOURS = 256
"""Of the picture's palette: so it stays small."""
_STANDS = """() => mirageDebug.stats?.glassMeasured && mirageDebug.stats?.mouthMeasured
  && mirageDebug.state.server?.picture === "live"
  && [...document.querySelectorAll("#gallery img")].every((image) => image.naturalWidth)"""
_SKIN, _LIT, _SHADE = (126, 158, 205), (160, 190, 232), (70, 92, 140)
_HAIR, _SHIRT, _WALL, _LIP, _WHITE, _IRIS, _DARK = (
    (38, 52, 74),
    (112, 84, 52),
    (120, 112, 104),
    (84, 84, 168),
    (225, 230, 232),
    (84, 96, 60),
    (26, 24, 30),
)
Plane = NDArray[np.float32]


class Easel:
    """A picture in units of its side, painted with soft ellipses from back to front."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        self.y, self.x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32) / SIDE_PX
        self.picture = np.empty((SIDE_PX, SIDE_PX, 3), np.float32)
        self.picture[:] = np.array(colour, np.float32)

    def ellipse(self, x: float, y: float, wide: float, high: float, *, edge: float = 0.03, turn: float = 0.0) -> Plane:
        """How much of each pixel lies inside; `edge` is the width of its border in shares of its radii."""
        across = (self.x - x) * np.cos(turn) + (self.y - y) * np.sin(turn)
        along = (self.y - y) * np.cos(turn) - (self.x - x) * np.sin(turn)
        away = np.hypot(across / wide, along / high)
        return np.asarray(np.clip((1 - away) / edge + 0.5, 0, 1), np.float32)

    def paint(self, colour: tuple[int, int, int], cover: Plane, amount: float = 1.0) -> None:
        """Lay a colour over what is there."""
        share = (cover * np.float32(amount))[..., None]
        self.picture = self.picture * (1 - share) + np.array(colour, np.float32) * share


def head(time_s: float) -> Frame:
    """A drawn person before a wall, who nods a little, blinks and speaks; repeats every `SECONDS`."""
    beat = 2 * np.pi * time_s / SECONDS
    x, y = 0.5 + 0.012 * float(np.sin(beat)), 0.43 + 0.006 * float(np.sin(2 * beat))
    easel = Easel(_WALL)
    easel.paint((176, 170, 160), easel.ellipse(0.2, 0.2, 0.9, 0.8, edge=1.0), 0.8)
    _draw_body(easel, x, y)
    face = easel.ellipse(x, y + 0.01, 0.165, 0.225)
    easel.paint(_SKIN, face)
    _shade(easel, face, x, y)
    for side in (-1, 1):
        _draw_eye(easel, x + side * 0.068, y - 0.025, side, shut=time_s % SECONDS > SECONDS - 0.15)
    _draw_nose(easel, x, y)
    _draw_mouth(easel, x, y + 0.128, opened=0.5 + 0.5 * float(np.sin(9 * beat)))
    _draw_fringe(easel, x, y)
    grain = np.random.default_rng(round(time_s * FPS)).normal(0, 1.5, easel.picture.shape)
    return np.asarray(np.clip(easel.picture + grain, 0, 255), np.uint8)


def _draw_body(easel: Easel, x: float, y: float) -> None:
    easel.paint(_HAIR, easel.ellipse(x, y - 0.03, 0.205, 0.25))
    easel.paint(_SHIRT, easel.ellipse(0.5, 1.08, 0.42, 0.33))
    neck = easel.ellipse(x, y + 0.26, 0.085, 0.16)
    easel.paint(_SKIN, neck)
    easel.paint(_SHADE, neck * easel.ellipse(x, y + 0.2, 0.16, 0.09, edge=0.8), 0.8)
    for side in (-1, 1):
        easel.paint(_SKIN, easel.ellipse(x + side * 0.17, y + 0.01, 0.022, 0.05))


def _shade(easel: Easel, face: Plane, x: float, y: float) -> None:
    """Light from the left above, the hollows of the eyes, the cheeks, the chin."""
    easel.paint(_LIT, face * easel.ellipse(x - 0.05, y - 0.09, 0.15, 0.12, edge=1.2), 0.8)
    easel.paint(_SHADE, face * (1 - easel.ellipse(x - 0.03, y, 0.17, 0.23, edge=0.7)), 0.5)
    for side in (-1, 1):
        easel.paint(_SHADE, easel.ellipse(x + side * 0.068, y - 0.028, 0.052, 0.036, edge=1.0), 0.5)
        easel.paint((120, 130, 220), easel.ellipse(x + side * 0.09, y + 0.06, 0.05, 0.04, edge=1.2), 0.35)
    easel.paint(_SHADE, face * easel.ellipse(x, y + 0.165, 0.06, 0.012, edge=1.0), 0.45)
    easel.paint(_LIT, face * easel.ellipse(x - 0.01, y + 0.195, 0.045, 0.025, edge=1.2), 0.5)


def _draw_eye(easel: Easel, x: float, y: float, side: int, *, shut: bool) -> None:
    white = easel.ellipse(x, y, 0.036, 0.003 if shut else 0.0155, edge=0.15)
    easel.paint(_DARK, easel.ellipse(x, y - 0.002, 0.039, 0.005 if shut else 0.0185, edge=0.2), 0.85)
    easel.paint(_WHITE, white)
    easel.paint(_IRIS, white * easel.ellipse(x, y - 0.001, 0.0145, 0.0155, edge=0.15))
    easel.paint(_DARK, white * easel.ellipse(x, y - 0.001, 0.0065, 0.007, edge=0.3))
    easel.paint((255, 255, 255), white * easel.ellipse(x - 0.005, y - 0.006, 0.003, 0.003, edge=0.5))
    brow = easel.ellipse(x + side * 0.004, y - 0.045, 0.045, 0.0085, edge=0.5, turn=side * -0.06)
    easel.paint(_HAIR, brow, 0.9)


def _draw_nose(easel: Easel, x: float, y: float) -> None:
    easel.paint(_SHADE, easel.ellipse(x + 0.02, y + 0.03, 0.012, 0.07, edge=1.2), 0.45)
    easel.paint(_LIT, easel.ellipse(x - 0.004, y + 0.025, 0.012, 0.07, edge=1.2), 0.7)
    easel.paint(_SHADE, easel.ellipse(x, y + 0.086, 0.036, 0.014, edge=1.0), 0.6)
    for side in (-1, 1):
        easel.paint(_DARK, easel.ellipse(x + side * 0.016, y + 0.083, 0.009, 0.005, edge=0.7), 0.7)
    easel.paint(_LIT, easel.ellipse(x - 0.003, y + 0.066, 0.016, 0.014, edge=1.2), 0.9)


def _draw_mouth(easel: Easel, x: float, y: float, *, opened: float) -> None:
    drop = 0.007 * opened
    easel.paint(_LIP, easel.ellipse(x, y, 0.056, 0.012 + drop / 2, edge=0.25))
    easel.paint(_LIP, easel.ellipse(x, y + 0.008 + drop, 0.043, 0.017, edge=0.25))
    easel.paint(_DARK, easel.ellipse(x, y + 0.002 + drop / 2, 0.046, 0.003 + drop, edge=0.3), 0.9)
    easel.paint((150, 150, 220), easel.ellipse(x - 0.01, y + 0.014 + drop, 0.02, 0.005, edge=1.0), 0.6)


def _draw_fringe(easel: Easel, x: float, y: float) -> None:
    above = easel.ellipse(x, y - 0.06, 0.2, 0.19, edge=0.05)
    part = above * (1 - easel.ellipse(x + 0.03, y + 0.06, 0.175, 0.2, edge=0.06))
    easel.paint(_HAIR, part)


def camera() -> Clip:
    """The head's recording."""
    frames = tuple(head(index / FPS) for index in range(SECONDS * FPS))
    return Clip(name="drawn", frames=frames, faces=((),) * len(frames), fps=FPS)


async def picture(target: Path) -> None:
    """Place a call, let it run until its figures stand, take the picture."""
    voice = speech(8.0, 48_000)
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        async with running_server(room / "data") as server, chromium(room / "tab", camera(), voice) as call:
            await call.page.set_viewport_size({"width": 1440, "height": 900})
            await call.page.emulate_media(color_scheme="dark")
            await call.go_live(server.link)
            await call.until_path("webrtc")
            await asyncio.sleep(SETTLED_S)
            await call.page.wait_for_function(_STANDS, polling=200)
            await call.page.screenshot(path=room / "page.png")
        with Image.open(room / "page.png") as taken:
            taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)


if __name__ == "__main__":
    asyncio.run(picture(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/page.png")))
