"""The catalogue of voice weights that an operator may add: what is said (ContentVec), at which pitch (RMVPE).

None is shipped. `mirage-rtc voices prepare` makes graphs of them. Sizes and SHA-256s are those that several public
projects record for the same files; a file that differs is refused. Part of `models.catalog`.
"""

from models.model_spec import GraphContract, ModelSpec, TensorSpec, UrlFile
from models.rmvpe_decode import BINS
from models.rmvpe_front import MELS

_RVC = "https://huggingface.co/lj1995/VoiceConversionWebUI/resolve/main"

RMVPE_CONTRACT = GraphContract(
    inputs=(TensorSpec(shape=(None, MELS, None)),), outputs=(TensorSpec(shape=(None, None, BINS)),)
)
"""Log mel to salience, frame by frame; frames a multiple of 32."""

CONTENTVEC = ModelSpec(
    name="contentvec.bin",
    role="content of speech, ContentVec base of 768: a checkpoint, published as pytorch_model.bin",
    bytes=378342945,
    sha256="d8dd400e054ddf4e6be75dab5a2549db748cc99e756a097c496c099f65a4854e",
    licence="MIT",
    commercial=True,
    source="auspicious3000/contentvec; in the layout of Transformers by lengyue233/content-vec-best",
    origin=UrlFile(url="https://huggingface.co/lengyue233/content-vec-best/resolve/main/pytorch_model.bin"),
)
RMVPE = ModelSpec(
    name="rmvpe.pt",
    role="pitch of speech, RMVPE: a checkpoint, of which PyTorch makes the graph",
    bytes=181184272,
    sha256="6d62215f4306e3ca278246188607209f09af3dc77ed4232efdd069798c4ec193",
    licence="MIT",
    commercial=True,
    source="RVC-Project, lj1995/VoiceConversionWebUI",
    origin=UrlFile(url=f"{_RVC}/rmvpe.pt"),
)
RMVPE_GRAPH = ModelSpec(
    name="rmvpe.onnx",
    role="pitch of speech, RMVPE, ready made: where PyTorch is not installed",
    bytes=361688443,
    sha256="5370e71ac80af8b4b7c793d27efd51fd8bf962de3a7ede0766dac0befa3660fd",
    licence="MIT",
    commercial=True,
    source="RVC-Project, lj1995/VoiceConversionWebUI",
    origin=UrlFile(url=f"{_RVC}/rmvpe.onnx"),
    contract=RMVPE_CONTRACT,
)

NEURAL_VOICE: tuple[ModelSpec, ...] = (CONTENTVEC, RMVPE, RMVPE_GRAPH)
"""Everything that imported voices need beside themselves; one of RMVPE's two files is enough."""
