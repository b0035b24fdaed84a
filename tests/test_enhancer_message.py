"""The message that asks for an enhancer: read, bounded, and handed on as a wish."""

import pytest

from mirage_rtc.errors import BadInput
from models.engines import EnhancerWish
from signaling import protocol
from signaling.enhancer_message import SetEnhancer, to_wish


def test_a_message_becomes_a_wish() -> None:
    """With the specification's fidelity where none is named."""
    message = protocol.decode('{"type":"set_enhancer","mode":"every","model":"gpen-256"}')
    assert isinstance(message, SetEnhancer)
    assert to_wish(message) == EnhancerWish(mode="every", model="gpen-256", fidelity=0.75)


@pytest.mark.parametrize(
    "fields", ['"mode":"always"', '"mode":"auto","model":"gan"', '"mode":"auto","fidelity":-0.1', '"mode":"off","n":1']
)
def test_what_is_no_such_wish_is_refused(fields: str) -> None:
    """Before a session sees it."""
    with pytest.raises(BadInput):
        protocol.decode(f'{{"type":"set_enhancer",{fields}}}')
