"""Where CodeFormer's graph lies: whole, or a sentence with the command that makes it."""

from pathlib import Path

import pytest

from models import codeformer_store
from models.store import ModelMissing


def test_a_graph_that_is_not_there_or_damaged_is_named_with_its_command(tmp_path: Path) -> None:
    """And one that is whole is found."""
    with pytest.raises(ModelMissing, match="models import codeformer.pth"):
        codeformer_store.codeformer_graph(tmp_path)
    with codeformer_store.converted(tmp_path).adding(codeformer_store.NAME) as folder:
        (folder / codeformer_store.GRAPH_NAME).write_bytes(b"graph")
    path = codeformer_store.codeformer_graph(tmp_path)
    assert path.read_bytes() == b"graph"
    path.write_bytes(b"other")
    with pytest.raises(ModelMissing, match="damaged"):
        codeformer_store.codeformer_graph(tmp_path)
