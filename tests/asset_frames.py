"""Pictures of the assets beside the repository, as they are recorded: nothing is scaled. For the neural tests."""

import functools
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from models.engines import Frame

ASSETS = Path(__file__).resolve().parents[2] / "shared" / "assets"
MODELS = ASSETS / "models"
GOLDEN = ASSETS / "golden"
CLIPS = (
    "grid_bbaf2n.mpg",
    "grid_id2_vcd_swwp2s.mpg",
    "grid_pwij3p.mpg",
    "grid_lrwp9a.mpg",
    "grid_two_people.mp4",
)

with_assets = pytest.mark.skipif(
    not (MODELS / "det_500m.onnx").exists(), reason="needs ../shared/assets: research-only weights cannot be made"
)
with_golden = pytest.mark.skipif(not GOLDEN.exists(), reason="needs ../shared/assets/golden")


@functools.cache
def frames(name: str) -> tuple[Frame, ...]:
    """Every frame of a clip, or a picture as a clip of one frame; BGR."""
    path = ASSETS / "media" / name
    if path.suffix == ".png":
        return (np.asarray(cv2.imread(str(path)), np.uint8),)
    with av.open(str(path)) as container:
        return tuple(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0))


def picture(key: str) -> Frame:
    """`name@index`, such as `grid_bbaf2n.mpg@5`, or a picture's name."""
    name, _, index = key.partition("@")
    return frames(name)[int(index or 0)]
