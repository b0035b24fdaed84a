"""Tries a network out before it may serve: are its answers numbers, do they depend on the picture, are they the CPU's?

Half precision overflows on some cards, drivers and builds: black squares, noise, the same face for everybody. Called by
`runtime` for every file it opens and by `trusted_graph` for every network on a GPU.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.model_spec import TensorSpec
from models.placement import Shapes

Array = NDArray[Any]
Answer = tuple[Array, ...]
Run = Callable[[Mapping[str, Array]], Answer]

_FAINT = 0.01
"""Answers below this, such as the scores of a picture without faces, are compared absolutely."""


def sizes_of(inputs: Sequence[TensorSpec], free_px: int) -> Shapes:
    """A picture or an identity for every input: one of a batch, `free_px` for every other open size."""
    open_sizes = {tensor.name: (1, *(free_px for _ in tensor.shape[1:])) for tensor in inputs}
    return {
        tensor.name: tuple(size or free for size, free in zip(tensor.shape, open_sizes[tensor.name], strict=True))
        for tensor in inputs
    }


def noise(inputs: Sequence[TensorSpec], sizes: Shapes, seed: int) -> dict[str, Array]:
    """Uniform in [0, 1), a picture to every network here, whatever its own range is; a row of numbers has unit length.

    Identities are such rows: longer ones would overflow in half precision where no identity does.
    """
    rng = np.random.default_rng(seed)
    feeds = {}
    for tensor in inputs:
        values = rng.random(sizes[tensor.name], np.float32)
        if values.ndim == 2:
            values = (values - np.float32(0.5)) / np.linalg.norm(values - np.float32(0.5), axis=1, keepdims=True)
        feeds[tensor.name] = values.astype(tensor.dtype)
    return feeds


def fault(answers: Sequence[Answer]) -> str:
    """What is wrong with the answers to different pictures, or nothing."""
    if not all(np.isfinite(out).all() for answer in answers for out in answer):
        return "gives numbers that are not finite"
    if any(all(np.ptp(out) == 0 for out in answer) for answer in answers):
        return "gives a constant"
    same = [np.array_equal(one, other) for one, other in zip(*answers, strict=True)]
    return "gives the same answer to different pictures" if all(same) else ""


def distance(answer: Answer, reference: Answer) -> float:
    """How far two placements of one network are apart: the worst output's mean difference, as a share of its mean size.

    Infinite where one is not finite or of another shape.
    """
    if [out.shape for out in answer] != [out.shape for out in reference]:
        return float("inf")
    apart = [_share(one, other) for one, other in zip(answer, reference, strict=True)]
    return max(apart) if np.isfinite(apart).all() else float("inf")


def _share(one: Array, other: Array) -> float:
    wide, wanted = one.astype(np.float64), other.astype(np.float64)
    return float(np.abs(wide - wanted).mean() / max(float(np.abs(wanted).mean()), _FAINT))
