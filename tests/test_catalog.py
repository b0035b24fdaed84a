"""The catalogue of model files."""

from models.catalog import CATALOG


def test_every_file_is_pinned_by_size_and_hash_and_named_once() -> None:
    """A file without a full SHA-256, or two files of one name in the store, could not be verified."""
    assert len({spec.name for spec in CATALOG}) == len(CATALOG)
    for spec in CATALOG:
        assert len(spec.sha256) == 64
        assert int(spec.sha256, 16)
        assert spec.bytes > 0
        assert "/" not in spec.name


def test_embedded_models_are_free_for_commercial_use() -> None:
    """What is fetched without asking must need no acceptance of a licence."""
    assert {spec.licence for spec in CATALOG} == {"Apache-2.0"}
    assert all(spec.commercial for spec in CATALOG)


def test_one_pinned_wheel_serves_every_embedded_file() -> None:
    """Start-up downloads one wheel, whatever is missing."""
    assert {spec.package.requirement for spec in CATALOG} == {"mediapipe==0.10.21"}
    assert len({spec.package.member for spec in CATALOG}) == len(CATALOG)
