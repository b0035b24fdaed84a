"""The catalogue of face weights that an operator may add: detector, identity, swappers, enhancers. None is shipped.

Sizes and SHA-256s are those that several public projects record for the same files (InsightFace's model zoo, manifests
of FaceFusion and VisoMaster); a file that differs is refused. `also` is FaceFusion's own export of a network that we
fetch from elsewhere. Part of `models.catalog`.
"""

from models.model_spec import GraphContract, ModelSpec, Pin, TensorSpec, UrlFile, ZipMember

INSIGHTFACE = "InsightFace non-commercial research"
S_LAB = "S-Lab-1.0"

_OPEN_PICTURE = TensorSpec(shape=(1, 3, None, None))
_SCRFD_OUTPUTS = tuple(
    TensorSpec(shape=shape) for shape in ((None, 1), (None, 4), (None, 10)) for _stride_px in (8, 16, 32)
)
_SWAPPED = TensorSpec(name="output", shape=(None, 3, 128, 128))

SCRFD_CONTRACT = GraphContract(inputs=(_OPEN_PICTURE,), outputs=_SCRFD_OUTPUTS)
"""Nine maps: scores, boxes, points, each at strides 8, 16, 32. A batched export puts a batch of 1 before the sizes."""

ARCFACE_CONTRACT = GraphContract(
    inputs=(TensorSpec(shape=(None, 3, 112, 112)),), outputs=(TensorSpec(shape=(None, 512)),)
)
INSWAPPER_CONTRACT = GraphContract(
    inputs=(TensorSpec(name="target", shape=(None, 3, 128, 128)), TensorSpec(name="source", shape=(None, 512))),
    outputs=(_SWAPPED,),
)
HYPERSWAP_CONTRACT = GraphContract(
    inputs=(TensorSpec(name="source", shape=(None, 512)), TensorSpec(name="target", shape=(None, 3, 256, 256))),
    outputs=(TensorSpec(shape=(None, 3, 256, 256)), TensorSpec(shape=(None, None, 256, 256))),
)
GPEN_CONTRACT = GraphContract(
    inputs=(TensorSpec(shape=(None, 3, 256, 256)),), outputs=(TensorSpec(shape=(None, 3, 256, 256)),)
)
GFPGAN_CONTRACT = GraphContract(
    inputs=(TensorSpec(name="input", shape=(None, 3, 512, 512)),),
    outputs=(TensorSpec(name="output", shape=(None, 3, 512, 512)),),
)
XSEG_CONTRACT = GraphContract(
    inputs=(TensorSpec(shape=(None, 256, 256, 3)),), outputs=(TensorSpec(shape=(None, 256, 256, 1)),)
)
PARSER_CONTRACT = GraphContract(
    inputs=(TensorSpec(shape=(None, 3, 512, 512)),),
    outputs=(TensorSpec(shape=(None, 19, 512, 512)),),
    further_outputs=True,
)


def _buffalo(member: str) -> ZipMember:
    return ZipMember(
        url="https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip",
        bytes=288621354,
        sha256="80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
        member=member,
    )


def _hyperswap(letter: str, sha256: str) -> ModelSpec:
    name = f"hyperswap_1{letter}_256.onnx"
    return ModelSpec(
        name=name,
        role=f"face swapper, 256 px, with a mask of its own (variant 1{letter})",
        bytes=402742682,
        sha256=sha256,
        licence="ResearchRAIL-MS",
        commercial=False,
        source="FaceFusion Labs, models-3.3.0",
        origin=UrlFile(url=f"https://huggingface.co/facefusion/models-3.3.0/resolve/main/{name}"),
        contract=HYPERSWAP_CONTRACT,
    )


SCRFD_10G = ModelSpec(
    name="det_10g.onnx",
    folder="buffalo_l",
    role="face detector SCRFD-10GF: boxes and five points",
    bytes=16923827,
    sha256="5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
    licence=INSIGHTFACE,
    commercial=False,
    source="InsightFace, buffalo_l.zip v0.7",
    origin=_buffalo("det_10g.onnx"),
    contract=SCRFD_CONTRACT,
)
ARCFACE_R50 = ModelSpec(
    name="w600k_r50.onnx",
    folder="buffalo_l",
    role="identity ArcFace ResNet-50, WebFace600K: 512 numbers a face",
    bytes=174383860,
    sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    also=(Pin(bytes=174388474, sha256="f1f79dc3b0b79a69f94799af1fffebff09fbd78fd96a275fd8f0cbbea23270d1"),),
    licence=INSIGHTFACE,
    commercial=False,
    source="InsightFace, buffalo_l.zip v0.7; also exported by facefusion/models-3.0.0",
    origin=_buffalo("w600k_r50.onnx"),
    contract=ARCFACE_CONTRACT,
)
INSWAPPER_FP16 = ModelSpec(
    name="inswapper_128_fp16.onnx",
    role="face swapper InSwapper, 128 px, half precision: the usual one",
    bytes=277680638,
    sha256="6d51a9278a1f650cffefc18ba53f38bf2769bf4bbff89267822cf72945f8a38b",
    also=(Pin(bytes=277680829, sha256="c4eccca86ad177586c85c28bf1a64a9d9ed237e283a15818d831f7facfd3f420"),),
    licence=INSIGHTFACE,
    commercial=False,
    source="InsightFace, withdrawn there; mirrored by hacksider/deep-live-cam and facefusion/models-3.0.0",
    origin=UrlFile(url="https://huggingface.co/hacksider/deep-live-cam/resolve/main/inswapper_128_fp16.onnx"),
    contract=INSWAPPER_CONTRACT,
)
INSWAPPER_FP32 = ModelSpec(
    name="inswapper_128.onnx",
    role="face swapper InSwapper, 128 px, full precision: where half precision gives black squares",
    bytes=554253681,
    sha256="e4a3f08c753cb72d04e10aa0f7dbe3deebbf39567d4ead6dce08e98aa49e16af",
    also=(Pin(bytes=555303150, sha256="a290273ed497312095dac48cdef20feec9d5208298223dd01288ab202b54bea7"),),
    licence=INSIGHTFACE,
    commercial=False,
    source="InsightFace, withdrawn there; mirrored by hacksider/deep-live-cam and facefusion/models-3.0.0",
    origin=UrlFile(url="https://huggingface.co/hacksider/deep-live-cam/resolve/main/inswapper_128.onnx"),
    contract=INSWAPPER_CONTRACT,
)
CODEFORMER = ModelSpec(
    name="codeformer.pth",
    role="face enhancer CodeFormer, 512 px, fidelity adjustable: a checkpoint",
    bytes=376637898,
    sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
    licence=S_LAB,
    commercial=False,
    source="S-Lab, sczhou/CodeFormer v0.1.0",
    origin=UrlFile(url="https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth"),
)
GPEN_256 = ModelSpec(
    name="GPEN-BFR-256.onnx",
    role="face enhancer GPEN, 256 px, fast enough for live pictures",
    bytes=75715262,
    sha256="aa5bd3ab238640a378c59e4a560f7a7150627944cf2129e6311ae4720e833271",
    also=(Pin(bytes=75792988, sha256="bad8bf0426873828df2dbf4e3b3d9ababba9da7965b8b72426569486f7ae5c25"),),
    licence="GPEN non-commercial",
    commercial=False,
    source="Alibaba DAMO Academy, yangxy/GPEN; exports of netrunner-exe/Face-Upscalers-onnx, facefusion/models-3.0.0",
    origin=UrlFile(url="https://huggingface.co/netrunner-exe/Face-Upscalers-onnx/resolve/main/GPEN-BFR-256.onnx"),
    contract=GPEN_CONTRACT,
)
GFPGAN_1_4 = ModelSpec(
    name="GFPGANv1.4.onnx",
    role="face enhancer GFPGAN 1.4, 512 px",
    bytes=340256690,
    sha256="6548e54cbcf248af385248f0c1193b359c37a0f98b836282b09cf48af4fd2b73",
    also=(Pin(bytes=340299087, sha256="accc4757b26bdb89b32b4d3500d4f79c9dff97c1dd7c7104bf9dcb95e3311385"),),
    licence="Apache-2.0 with NVIDIA non-commercial parts",
    commercial=False,
    source="Tencent ARC, TencentARC/GFPGAN; exports of netrunner-exe/Face-Upscalers-onnx, facefusion/models-3.0.0",
    origin=UrlFile(url="https://huggingface.co/netrunner-exe/Face-Upscalers-onnx/resolve/main/GFPGANv1.4.onnx"),
    contract=GFPGAN_CONTRACT,
)
HYPERSWAPS = (
    _hyperswap("a", "c0e98a8a03a238f461ed3d2570e426b49f46745ee400854a60dceeb70c246add"),
    _hyperswap("b", "5124031789c42f71b9558fb71954ef7aedb6da7ed9fac79293e23c61a792a73e"),
    _hyperswap("c", "5528c2d76fe9986c99d829278987ef9f3a630cb606db7628d02b57b330f406a5"),
)
XSEG = ModelSpec(
    name="xseg_3.onnx",
    role="occlusion mask: hands, cups and microphones stay before the swapped face",
    bytes=70327709,
    sha256="48ccd7e8541e159a5a754ec9e62df2f12065f7df8f9af842c1750342c6533559",
    licence="GPL-3.0",
    commercial=True,
    source="DeepFaceLab; exported by facefusion/models-3.2.0",
    origin=UrlFile(url="https://huggingface.co/facefusion/models-3.2.0/resolve/main/xseg_3.onnx"),
    contract=XSEG_CONTRACT,
)
FACE_PARSER = ModelSpec(
    name="bisenet_resnet_34.onnx",
    role="face parts: the inside of an open mouth is the caller's own",
    bytes=93632546,
    sha256="4a0b8c958a3c938913bd06a8365dbb3c8761afba6ecbf0d14b3b1f77eb230c96",
    licence="MIT",
    commercial=True,
    source="yakhyo/face-parsing; mirrored by facefusion/models-3.0.0",
    origin=UrlFile(url="https://huggingface.co/facefusion/models-3.0.0/resolve/main/bisenet_resnet_34.onnx"),
    contract=PARSER_CONTRACT,
)

NEURAL_FACE: tuple[ModelSpec, ...] = (
    SCRFD_10G,
    ARCFACE_R50,
    INSWAPPER_FP16,
    INSWAPPER_FP32,
    *HYPERSWAPS,
    XSEG,
    FACE_PARSER,
    CODEFORMER,
    GPEN_256,
    GFPGAN_1_4,
)
"""Everything the neural face engine can use."""
