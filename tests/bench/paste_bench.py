"""CPU time of pasting a swapped face back, ours against InsightFace's `paste_back=True`, in one run.

Run: python -m tests.bench.paste_bench. It needs insightface on PYTHONPATH (see `measure_insightface`); the network is
replaced by a fixed answer, and what InsightFace takes without pasting is subtracted from what it takes with.
"""

import contextlib
import io
import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import cv2
import numpy as np
from insightface.model_zoo.inswapper import INSwapper

from models import face_templates, inswapper, neural_paste
from tests.asset_frames import GOLDEN

SIZES_PX = ((512, 512), (1280, 720), (1920, 1080))
FACES_PX = (200, 300, 420)
ROUNDS = 41


class FixedAnswer:
    """A session of ONNX Runtime that has seen it all before."""

    def __init__(self, crop: np.ndarray) -> None:
        self._answer = np.asarray(crop[..., ::-1].transpose(2, 0, 1)[None], np.float32) / np.float32(255)

    def get_inputs(self) -> list[SimpleNamespace]:
        """The swapper's two."""
        return [
            SimpleNamespace(name="target", shape=[1, 3, 128, 128]),
            SimpleNamespace(name="source", shape=[1, 512]),
        ]

    def get_outputs(self) -> list[SimpleNamespace]:
        """The swapper's one."""
        return [SimpleNamespace(name="output", shape=[1, 3, 128, 128])]

    def run(self, *_: object) -> list[np.ndarray]:
        """The same face."""
        return [self._answer]


def main() -> None:
    """Print a table of medians."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(1)
    crop = np.asarray(cv2.GaussianBlur(rng.integers(0, 256, (128, 128, 3), np.uint8), (9, 9), 0), np.uint8)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = INSwapper(str(GOLDEN / "inswapper_narrow" / "inswapper_narrow.onnx"), session=FixedAnswer(crop))
    alpha = neural_paste.soft_alpha(inswapper.SIZE_PX)
    sys.stdout.write("frame      face  insightface paste  ours      ratio\n")
    for width, height in SIZES_PX:
        frame = rng.integers(0, 256, (height, width, 3), np.uint8)
        for face_px in FACES_PX:
            before, after = _compare(theirs, frame, crop, alpha, face_px)
            row = f"{width:4}x{height:<5}{face_px:5} {before:12.2f} ms {after:10.2f} ms {before / after:8.1f}"
            sys.stdout.write(row + "\n")


def _compare(
    theirs: INSwapper, frame: np.ndarray, crop: np.ndarray, alpha: neural_paste.Alpha, face_px: int
) -> tuple[float, float]:
    """Median CPU milliseconds of their paste and of ours, for a crop that covers `face_px` pixels of the frame."""
    middle = np.array([frame.shape[1] / 2, frame.shape[0] / 2])
    points = np.asarray((inswapper.TEMPLATE_PX - 64) * (face_px / 128) + middle, np.float32)
    target = SimpleNamespace(kps=points)
    source = SimpleNamespace(normed_embedding=np.ones(512, np.float32) / np.float32(np.sqrt(512)))
    to_crop = face_templates.similarity(points, inswapper.TEMPLATE_PX)
    runs: list[Callable[[], object]] = [
        lambda: theirs.get(frame, target, source, paste_back=True),
        lambda: theirs.get(frame, target, source, paste_back=False),
        lambda: neural_paste.paste(frame, crop, alpha, to_crop),
    ]
    took = [[_cpu_ms(run) for run in runs] for _ in range(ROUNDS)]
    whole, bare, ours = (statistics.median(column) for column in zip(*took, strict=True))
    return whole - bare, ours


def _cpu_ms(run: Callable[[], object]) -> float:
    begun = time.thread_time()
    run()
    return (time.thread_time() - begun) * 1e3


if __name__ == "__main__":
    main()
