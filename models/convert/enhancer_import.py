"""From `codeformer.pth` to a static graph with the fidelity as an input, checked against torch, stored beside it.

Called by `mirage_rtc.enhancer_commands`, which hands down how a graph is run: the same runtime as in calls.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.codeformer_store import CODEFORMER_CONTRACT, FIDELITY, GRAPH_NAME, NAME, PICTURE, RESTORED
from models.convert.codeformer_network import SIZE_PX, WIDTH, CodeFormer, load_codeformer
from models.convert.onnx_export import SharedWeights, export
from models.convert.voice_import import GraphRunner, Progress
from models.pinned_folders import PinnedFolders
from models.runtime import NetworkError

MEAN_APART, MOST_APART = 1e-4, 2e-3
"""How far the graph may be from torch, in the mean and anywhere; a level of 255 is 8e-3."""
PROBES = 3
"""Pictures that are tried: where two codes are as likely as each other, either is right, so one may say little."""

OPEN = {name: {0: "faces"} for name in (PICTURE, FIDELITY, RESTORED)}


def import_codeformer(
    path: Path, *, folders: PinnedFolders, run: GraphRunner, progress: Progress, width: int = WIDTH
) -> float:
    """Convert the checkpoint at `path` and store its graph; returns how far it is from torch.

    Takes half a minute and about 2 GB. Raises `NetworkError` for another file or a graph that answers otherwise, and
    `VoiceRefused` when the disk does not take it; nothing is left behind then.
    """
    progress(f"reading {path.name}")
    network = load_codeformer(path, width)
    with folders.adding(NAME) as folder:
        progress("exporting")
        export(network, probe(0), RESTORED, folder / GRAPH_NAME, SharedWeights(folder), OPEN)
        progress("comparing with torch")
        return _difference(network, folder / GRAPH_NAME, run)


def probe(seed: int) -> dict[str, Tensor]:
    """A soft picture of noise and a fidelity at which every bridge counts."""
    coarse = torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    picture = torch.nn.functional.interpolate(coarse, size=(SIZE_PX, SIZE_PX), mode="bicubic").clamp(-1, 1)
    return {PICTURE: picture, FIDELITY: torch.full((1, 1, 1, 1), 0.75)}


def _difference(network: CodeFormer, path: Path, run: GraphRunner) -> float:
    """In the mean, of the first picture on which the two agree. Raises `NetworkError` when there is none."""
    for seed in range(PROBES):
        given = probe(seed)
        with torch.inference_mode():
            wanted = network(given[PICTURE], given[FIDELITY]).numpy()
        found = run(path, {tensor.name: given[tensor.name].numpy() for tensor in CODEFORMER_CONTRACT.inputs})
        apart = np.abs(found - wanted) if found.shape == wanted.shape else np.array([np.inf])
        if apart.mean() <= MEAN_APART and apart.max() <= MOST_APART:
            return float(apart.mean())
    raise NetworkError(
        f"The graph of {NAME} differs from torch by {apart.mean():.2g} and is not stored: update onnxruntime, or "
        "report this with its version."
    )
