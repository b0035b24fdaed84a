"""The catalogue of face weights: where they lie, what they ask of an operator, what their graphs must look like."""

from models.model_spec import UrlFile, ZipMember
from models.neural_face_catalog import ARCFACE_R50, CODEFORMER, NEURAL_FACE, SCRFD_10G

# Sizes of FaceFusion's own exports and how their SHA-256 begin, each by at least two public manifests of others.
FACEFUSION = {
    "w600k_r50.onnx": (174_388_474, "f1f79dc3b0b7"),
    "inswapper_128_fp16.onnx": (277_680_829, "c4eccca86ad1"),
    "inswapper_128.onnx": (555_303_150, "a290273ed497"),
    "GPEN-BFR-256.onnx": (75_792_988, "bad8bf042687"),
    "GFPGANv1.4.onnx": (340_299_087, "accc4757b26b"),
}


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


def test_facefusion_s_exports_are_accepted_beside_the_others() -> None:
    """Another name and other bytes for the same network, which most people who come from there have on disk."""
    others = {spec.name: [(pin.bytes, pin.sha256[:12]) for pin in spec.also] for spec in NEURAL_FACE if spec.also}
    assert others == {name: [pin] for name, pin in FACEFUSION.items()}
    assert {len(pin.sha256) for spec in NEURAL_FACE for pin in spec.pins} == {64}


def test_every_graph_has_a_contract() -> None:
    """All but the checkpoint, which holds no graph."""
    assert [spec.name for spec in NEURAL_FACE if spec.contract is None] == [CODEFORMER.name]
    assert SCRFD_10G.contract is not None
    assert len(SCRFD_10G.contract.outputs) == 9
