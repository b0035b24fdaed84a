"""The catalogue of model files."""

from models.catalog import CATALOG, EMBEDDED
from models.model_spec import WheelMember


def test_every_file_is_pinned_by_size_and_hash_and_named_once() -> None:
    """A file without a full SHA-256, or two files of one name in the store, could not be verified."""
    assert len({spec.name for spec in CATALOG}) == len(CATALOG)
    for pin in [pin for spec in CATALOG for pin in spec.pins]:
        assert len(pin.sha256) == 64
        assert int(pin.sha256, 16)
        assert pin.sha256 == pin.sha256.lower()
        assert pin.bytes > 0
    assert [spec.name for spec in CATALOG if "/" in spec.name or "/" in spec.folder] == []


def test_no_two_files_have_the_same_bytes() -> None:
    """A hash copied to the wrong line would let one model pass for another."""
    hashes = [pin.sha256 for spec in CATALOG for pin in spec.pins]
    assert len(set(hashes)) == len(hashes)


def test_embedded_models_are_free_for_commercial_use() -> None:
    """What is fetched without asking must need no acceptance of a licence."""
    assert {spec.licence for spec in EMBEDDED} == {"Apache-2.0"}
    assert all(spec.commercial for spec in EMBEDDED)


def test_one_pinned_wheel_serves_every_embedded_file() -> None:
    """Start-up downloads one wheel, whatever is missing."""
    origins = [spec.origin for spec in EMBEDDED if isinstance(spec.origin, WheelMember)]
    assert {origin.requirement for origin in origins} == {"mediapipe==0.10.21"}
    assert len({origin.member for origin in origins}) == len(EMBEDDED)
