"""Likeness of every pair and mask and what a frame costs, as tables. Run: python -m tests.bench.face_bench"""

import statistics
import sys

import cv2
import numpy as np

from models import mask_art
from models.engines import IdentitySource
from models.mesh_face_engine import MeshFaceEngine
from tests import likeness
from tests.model_store import model_store


def main() -> int:
    """Print the tables; 1 where the assets are missing."""
    if not likeness.have_judge():
        print("needs the clips and the judge in ../shared/assets", file=sys.stderr)  # noqa: T201
        return 1
    cv2.setNumThreads(1)
    engine = MeshFaceEngine(str(model_store().root))
    portraits = _portraits(engine)
    _masks(engine)
    _costs(portraits)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _portraits(engine: MeshFaceEngine) -> list[likeness.Likeness]:
    _say(f"{'source':26}{'sender':26}{'to source':>10}{'to sender':>10}{'max':>7}{'unswapped':>10}")
    all_pairs = []
    for source, sender in likeness.pairs():
        identity = engine.prepare(IdentitySource(kind="portrait", name=source, portrait=likeness.frames(source)[0]))
        one = likeness.measure(engine, identity, sender, source=source, judged_every=5)
        all_pairs.append(one)
        to_source, to_sender = statistics.median(one.to_source), statistics.median(one.to_sender)
        _say(f"{source:26}{sender:26}{to_source:10.3f}{to_sender:10.3f}{max(one.to_sender):7.3f}{one.unswapped:10d}")
    pooled_source = statistics.median(value for one in all_pairs for value in one.to_source)
    to_sender_all = [value for one in all_pairs for value in one.to_sender]
    _say(f"{'pooled':52}{pooled_source:10.3f}{statistics.median(to_sender_all):10.3f}{max(to_sender_all):7.3f}")
    return all_pairs


def _masks(engine: MeshFaceEngine) -> None:
    _say(f"\n{'mask':12}{'to sender':>10}{'max':>7}{'cpu ms':>8}")
    for mask in mask_art.MASKS:
        identity = engine.prepare(IdentitySource(kind="mask", name=mask.name))
        runs = [
            likeness.measure(engine, identity, sender, source=None, judged_every=5)
            for sender in likeness.PEOPLE
            if sender.endswith(".mpg")
        ]
        values = [value for one in runs for value in one.to_sender]
        cpu_ms = statistics.median(value for one in runs for value in one.cpu_ms)
        _say(f"{mask.name:12}{statistics.median(values):10.3f}{max(values):7.3f}{cpu_ms:8.2f}")


def _costs(runs: list[likeness.Likeness]) -> None:
    whole = [value for one in runs for value in one.cpu_ms]
    _say(f"\nportrait, thread CPU ms a frame: median {np.median(whole):.2f}, p95 {np.percentile(whole, 95):.2f}")
    for stage in runs[0].stage_ms:
        spent = [value for one in runs for value in one.stage_ms.get(stage, [])]
        _say(f"  {stage:8}{np.median(spent):7.2f}")


if __name__ == "__main__":
    sys.exit(main())
