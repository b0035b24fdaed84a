"""What the seam promises holds for every enhancer that there is."""

import pytest

from models.enhancer import EnhancerKind
from models.enhancer_choice import KINDS


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_kind_says_how_its_crop_is_aligned_and_what_its_tensors_are(kind: EnhancerKind) -> None:
    """Five points within the crop, square pictures in and out, a fidelity besides or not."""
    assert kind.template_px.shape == (5, 2)
    assert 0 < kind.template_px.min() < kind.template_px.max() < kind.size_px
    (taken, *more), (given,) = kind.contract.inputs, kind.contract.outputs
    assert taken.shape == given.shape == (None, 3, kind.size_px, kind.size_px)
    assert [tensor.shape for tensor in more] in ([], [(None, 1, 1, 1)])
    assert KINDS[kind.name] is kind
