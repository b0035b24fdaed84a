"""CPU time of the neural face stages without their networks: one face of 300 pixels at 512 x 512, one thread.

Run: python -m tests.bench.stage_bench. Each network is run once and then answers the same from memory, so that what is
left is ours: letterbox and decoding, alignment, tensors, paste-back. It needs ../shared/assets.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from models import face_templates, inswapper, neural_paste
from models.neural_face_catalog import INSWAPPER_CONTRACT, SCRFD_CONTRACT
from models.neural_graph import last_initializer
from models.runtime import Array, Graph, OnnxGraph
from models.scrfd import FAST_PX, Scrfd
from tests.asset_frames import GOLDEN, MODELS, picture
from tests.neural_parts import sound

ROUNDS = 101
DETECTION_SHARE = 1 / 5
"""The detector looks at every fifth frame."""


class Remembered:
    """A graph that runs once and then repeats itself."""

    def __init__(self, graph: Graph) -> None:
        self.inputs, self.outputs = graph.inputs, graph.outputs
        self._graph = graph
        self._answer: tuple[Array, ...] | None = None

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """The first answer."""
        self._answer = self._answer or self._graph.run(feeds)
        return self._answer


def main() -> None:
    """Print the median of each stage, and of a frame."""
    cv2.setNumThreads(1)
    frame = np.asarray(cv2.resize(picture("grid_bbaf2n.mpg@5")[14:274, 70:330], (512, 512)), np.uint8)
    narrow = GOLDEN / "inswapper_narrow" / "inswapper_narrow.onnx"
    detector = Scrfd(Remembered(OnnxGraph(MODELS / "det_500m.onnx", SCRFD_CONTRACT)))
    swapper = inswapper.InSwapper(Remembered(OnnxGraph(narrow, INSWAPPER_CONTRACT)), last_initializer(narrow))
    latent = swapper.latent(np.eye(512, dtype=np.float32)[0])
    (face,) = detector.detect_at(frame, FAST_PX)
    to_crop = inswapper.alignment(face.points)
    crop = face_templates.crop(frame, to_crop, inswapper.SIZE_PX)
    swapped = sound(swapper.swap([crop], [latent]))[0].picture
    alpha = neural_paste.soft_alpha(inswapper.SIZE_PX)
    stages: dict[str, Callable[[], object]] = {
        "detect": lambda: detector.detect_at(frame, FAST_PX),
        "align": lambda: face_templates.crop(frame, inswapper.alignment(face.points), inswapper.SIZE_PX),
        "swap": lambda: swapper.swap([crop], [latent]),
        "paste": lambda: neural_paste.paste(frame, swapped, alpha, to_crop),
    }
    took = {name: statistics.median(_cpu_ms(run) for _ in range(ROUNDS)) for name, run in stages.items()}
    whole = sum(took.values()) - (1 - DETECTION_SHARE) * took["detect"]
    side_px = 128 / float(np.hypot(*to_crop[:, 0]))
    sys.stdout.write("".join(f"{name:7} {ms:6.2f} ms\n" for name, ms in took.items()))
    sys.stdout.write(f"a frame {whole:6.2f} ms, the detector every fifth; the crop covers {side_px:.0f} pixels\n")


def _cpu_ms(run: Callable[[], object]) -> float:
    begun = time.thread_time()
    run()
    return (time.thread_time() - begun) * 1e3


if __name__ == "__main__":
    main()
