"""The catalogue of face weights: where they lie, what they ask of an operator, what their graphs must look like."""

from models.model_spec import UrlFile, ZipMember
from models.neural_face_catalog import ARCFACE_R50, CODEFORMER, INSWAPPER_FP16, INSWAPPER_FP32, NEURAL_FACE, SCRFD_10G


def test_every_face_weight_asks_for_its_licence() -> None:
    """All but the masks forbid commercial use, so that none of those may be fetched unasked."""
    assert all(spec.licence for spec in NEURAL_FACE)
    free = {spec.name: spec.licence for spec in NEURAL_FACE if spec.commercial}
    assert free == {"xseg_3.onnx": "GPL-3.0", "bisenet_resnet_34.onnx": "MIT"}


def test_weights_come_over_tls_and_never_out_of_a_package_index() -> None:
    """The address is one of a file or of an archive."""
    for spec in NEURAL_FACE:
        assert isinstance(spec.origin, UrlFile | ZipMember)
        assert spec.origin.url.startswith("https://")


def test_the_pack_lies_as_insightface_lays_it_out() -> None:
    """<root>/buffalo_l/<file>: an existing ~/.insightface/models is a folder of that kind."""
    assert str(SCRFD_10G.relative) == "buffalo_l/det_10g.onnx"
    assert str(ARCFACE_R50.relative) == "buffalo_l/w600k_r50.onnx"
    assert SCRFD_10G.origin != ARCFACE_R50.origin
    archives = {(spec.origin.url, spec.origin.sha256) for spec in NEURAL_FACE if isinstance(spec.origin, ZipMember)}
    assert len(archives) == 1


def test_both_half_precision_files_that_circulate_are_accepted() -> None:
    """Same name, same network, written by two exporters."""
    assert {pin.bytes for pin in INSWAPPER_FP16.pins} == {277_680_638, 277_680_829}
    assert {pin.bytes for pin in INSWAPPER_FP32.pins} == {554_253_681}


def test_every_graph_has_a_contract() -> None:
    """All but the checkpoint, which holds no graph."""
    assert [spec.name for spec in NEURAL_FACE if spec.contract is None] == [CODEFORMER.name]
    assert SCRFD_10G.contract is not None
    assert len(SCRFD_10G.contract.outputs) == 9
