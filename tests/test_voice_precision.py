"""What is on record of half precision."""

import msgspec
import pytest

from models.voice_precision import HalfGraph


def test_a_figure_is_read_as_it_was_written_and_nothing_else_is() -> None:
    """A record that somebody extended is none of ours."""
    written = msgspec.json.encode(HalfGraph(cosine=0.9995, stored=True))
    assert msgspec.json.decode(written, type=HalfGraph) == HalfGraph(cosine=0.9995, stored=True)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"cosine":1.0,"stored":true,"more":1}', type=HalfGraph)
