"""How alike the returned person is to the sender and to the portrait worn: clips, stills and the ArcFace cosines.

Shared by `test_likeness.py` (bounds, on a sample) and `bench/face_bench.py` (every pair, as a table).
"""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from models.engines import Frame
from models.mesh_face_engine import MeshFaceEngine
from tests.arcface import Embedding, FaceJudge, cosine

ASSETS = Path(__file__).resolve().parents[2] / "shared" / "assets"
CLIP_FPS = 25
SIDE_PX = 512
PEOPLE = {
    "grid_bbaf2n.mpg": "man A",
    "grid_id2_vcd_swwp2s.mpg": "man B",
    "grid_pwij3p.mpg": "man B",
    "grid_lrwp9a.mpg": "woman A",
    "astronaut.png": "astronaut",
}


@dataclass(slots=True, kw_only=True)
class Likeness:
    """Cosines of one identity worn by one sender, frame by frame, and what the frames cost."""

    to_source: list[float] = field(default_factory=list)
    to_sender: list[float] = field(default_factory=list)
    unswapped: int = 0
    cpu_ms: list[float] = field(default_factory=list)
    stage_ms: dict[str, list[float]] = field(default_factory=dict)


def have_judge() -> bool:
    """Whether the clips and the judge's weights are on this machine."""
    return (ASSETS / "media" / "grid_bbaf2n.mpg").exists() and (ASSETS / "models" / "det_500m.onnx").exists()


@functools.cache
def judge() -> FaceJudge:
    """The one judge of a test run."""
    return FaceJudge(ASSETS / "models")


@functools.cache
def frames(name: str) -> tuple[Frame, ...]:
    """A clip scaled to 512 x 512, or a picture as a clip of one frame."""
    path = ASSETS / "media" / name
    if path.suffix == ".png":
        return (np.asarray(cv2.imread(str(path)), np.uint8),)
    with av.open(str(path)) as container:
        decoded = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    return tuple(np.asarray(cv2.resize(frame, (SIDE_PX, SIDE_PX)), np.uint8) for frame in decoded)


@functools.cache
def embedding(name: str, index: int) -> tuple[Embedding, Embedding]:
    """Embedding and five points of the largest face of one frame as it was recorded."""
    face = judge().detect(frames(name)[index])[0]
    return judge().embed(frames(name)[index], face.points), face.points


def pairs() -> Iterator[tuple[str, str]]:
    """Every (source, sender) of different people."""
    for source, source_person in PEOPLE.items():
        for sender, sender_person in PEOPLE.items():
            if sender.endswith(".mpg") and source_person != sender_person:
                yield source, sender


def measure(engine: MeshFaceEngine, identity: Any, sender: str, *, source: str | None, judged_every: int) -> Likeness:
    """Run a whole clip through the engine and judge every so many frames, the first included.

    To the sender counts the higher of two cosines: at the points found in the returned face, and at those of the raw
    one, so that a face the detector cannot see is judged too.
    """
    wearer = engine.open(max_faces=1)
    wearer.wear(identity)
    result = Likeness()
    for index, frame in enumerate(frames(sender)):
        started_s = time.thread_time()
        swap = wearer.swap(frame.copy(), index / CLIP_FPS)
        result.cpu_ms.append((time.thread_time() - started_s) * 1000)
        for stage, spent_ms in swap.stage_ms.items():
            result.stage_ms.setdefault(stage, []).append(spent_ms)
        result.unswapped += not swap.swapped
        if index % judged_every == 0:
            _judge(result, swap.frame, sender, index, source)
    return result


def _judge(result: Likeness, returned: Frame, sender: str, index: int, source: str | None) -> None:
    raw, raw_points = embedding(sender, index)
    seen = [judge().embed(returned, raw_points)]
    found = judge().detect(returned)
    if found:
        seen.append(judge().embed(returned, found[0].points))
    result.to_sender.append(max(cosine(raw, one) for one in seen))
    if source is not None and found:
        result.to_source.append(cosine(embedding(source, 0)[0], seen[-1]))
