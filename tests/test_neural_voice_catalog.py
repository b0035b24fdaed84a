"""The voice weights of the catalogue."""

from models.catalog import CATALOG, EMBEDDED
from models.neural_voice_catalog import CONTENTVEC, NEURAL_VOICE, RMVPE, RMVPE_CONTRACT, RMVPE_GRAPH
from models.voice_networks import PITCH


def test_they_are_in_the_catalogue_and_never_fetched_unasked() -> None:
    """Free for commercial use, so that no acceptance is asked for; not embedded, so that somebody has to."""
    assert set(NEURAL_VOICE) == {CONTENTVEC, RMVPE, RMVPE_GRAPH} <= set(CATALOG)
    assert not set(NEURAL_VOICE) & set(EMBEDDED)
    assert {(spec.licence, spec.commercial) for spec in NEURAL_VOICE} == {("MIT", True)}


def test_the_contract_is_that_of_the_stored_network() -> None:
    """The same bands in, the same bins out."""
    [given], [output] = RMVPE_CONTRACT.inputs, RMVPE_CONTRACT.outputs
    assert given.shape[1] == PITCH.given_shape[1]
    assert output.shape[2] == PITCH.output_shape[2]
    assert RMVPE_CONTRACT.free_px % 32 == 0
    assert RMVPE_GRAPH.contract is RMVPE_CONTRACT


def test_sizes_fit_what_they_hold() -> None:
    """Halves of 90.5 million numbers in the checkpoint, whole ones in the graph; 94.6 million for the content."""
    assert 0 < RMVPE.bytes - 2 * 90_472_917 < 1e6
    assert 0 < RMVPE_GRAPH.bytes - 4 * 90_400_000 < 2e6
    assert 0 < CONTENTVEC.bytes - 4 * 94_568_576 < 1e6
