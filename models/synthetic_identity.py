"""Identities of nobody: directions in ArcFace's space that come from a number and not from a person.

The neural engine wears them where no portrait was given, so that no real person's photograph is needed: what is called
a mask in the gallery, and `synthetic:<seed>`.
"""

import numpy as np

from models.arcface import Embedding

PREFIX = "synthetic:"
MASK_SEEDS = {"porcelain": 1, "facets": 2, "contour": 3, "visor": 4, "carved": 5}
"""Which face nobody has stands for a mask of the gallery, which this engine cannot draw."""


def seed_of(name: str) -> int:
    """The seed behind the name of a mask, or `synthetic:<seed>`. Raises KeyError for any other name."""
    if name in MASK_SEEDS:
        return MASK_SEEDS[name]
    digits = name.removeprefix(PREFIX)
    if digits == name or not (digits.isascii() and digits.isdigit()):
        raise KeyError(name)
    return int(digits)


def embedding(seed: int) -> Embedding:
    """A unit vector (512,), the same for the same seed >= 0, evenly spread over all directions.

    In 512 dimensions two such, or one and a person's, have a cosine of 0 +- 0.044: strangers.
    """
    drawn = np.random.default_rng(seed).standard_normal(512)
    return np.asarray(drawn / np.linalg.norm(drawn), np.float32)
