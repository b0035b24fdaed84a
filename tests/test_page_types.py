"""The page's types are those of the protocol that the server speaks."""

from signaling import page_types


def test_the_types_in_the_page_are_not_stale() -> None:
    """After a change of the protocol run `python -m signaling.page_types`."""
    assert page_types.TARGET.read_text(encoding="utf-8") == page_types.render()


def test_a_field_with_a_default_is_optional_and_null_is_said() -> None:
    """A sample of each kind of field."""
    declared = page_types.render()
    assert "  reference?: string | null;" in declared
    assert '  type: "offer";' in declared
    assert "  ice_servers: (IceServer)[];" in declared
