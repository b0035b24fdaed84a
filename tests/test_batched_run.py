"""Several pictures through a network that takes one, and through one that takes any number: the same answers."""

import numpy as np

from models import batched_run
from tests.mask_graphs import hyperswap_graph

PICTURES = np.random.default_rng(1).standard_normal((3, 3, 256, 256)).astype(np.float32)
SOURCES = np.random.default_rng(2).standard_normal((3, 512)).astype(np.float32)


def test_one_at_a_time_is_all_at_once() -> None:
    """Row by row, for every output."""
    feeds = {"source": SOURCES, "target": PICTURES}
    fixed, free = (batched_run.run(hyperswap_graph(batch), feeds) for batch in (1, "N"))
    for one, other in zip(fixed, free, strict=True):
        assert one.shape[0] == 3
        np.testing.assert_allclose(one, other, atol=1e-6)
