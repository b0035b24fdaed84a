"""Faces that nobody has."""

import numpy as np
import pytest

from models import mask_art, synthetic_identity
from tests import parity
from tests.asset_frames import picture, with_assets


def test_every_mask_of_the_gallery_is_a_face_of_its_own() -> None:
    """The same names as the embedded engine's, each with another seed."""
    assert list(synthetic_identity.MASK_SEEDS) == [mask.name for mask in mask_art.MASKS]
    assert len(set(synthetic_identity.MASK_SEEDS.values())) == len(mask_art.MASKS)


def test_a_seed_is_always_the_same_face() -> None:
    """Unit vectors, nearly at right angles to each other; the number of the first one is recorded."""
    rows = np.stack([synthetic_identity.embedding(seed) for seed in range(20)])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(rows[7], synthetic_identity.embedding(7))
    assert np.abs(rows @ rows.T - np.eye(20)).max() < 0.2
    assert rows[1][:3] == pytest.approx([0.016598, 0.039462, 0.015871], abs=1e-5)


def test_names() -> None:
    """Of masks, and `synthetic:<seed>`; nothing else."""
    assert synthetic_identity.seed_of("porcelain") == 1
    assert synthetic_identity.seed_of("synthetic:42") == 42
    for wrong in ("synthetic:", "synthetic:-1", "synthetic:x", "42", "nobody"):
        with pytest.raises(KeyError):
            synthetic_identity.seed_of(wrong)


@with_assets
def test_it_is_nobody_we_know() -> None:
    """A cosine below 0.2 to every face of the assets, where one person's are above 0.3."""
    from tests.neural_parts import encoder

    known = [
        encoder().embed(picture(key), [face.points for face in parity.faces("det_500m.onnx@640", key)])
        for key in parity.pictures()
    ]
    nobody = np.stack([synthetic_identity.embedding(seed) for seed in range(64)])
    assert float((np.concatenate(known) @ nobody.T).max()) < 0.2
