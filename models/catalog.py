"""The catalogue of model files: what each is, its licence, its pinned bytes and where they come from.

`models.store` fetches and verifies what is listed here; `mirage-rtc models list` and LICENSES.md show it.
"""

from models.model_spec import ModelSpec, WheelMember
from models.neural_face_catalog import NEURAL_FACE
from models.neural_voice_catalog import NEURAL_VOICE


def _google(member: str) -> WheelMember:
    return WheelMember(distribution="mediapipe", version="0.10.21", member=f"mediapipe/{member}")


FACE_DETECTOR = ModelSpec(
    name="face_detection_full_range_sparse.tflite",
    role="face detector: boxes and six points of faces up to about five metres away",
    bytes=676746,
    sha256="2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    licence="Apache-2.0",
    commercial=True,
    source="Google MediaPipe, BlazeFace full range (sparse), in the wheel mediapipe 0.10.21",
    origin=_google("modules/face_detection/face_detection_full_range_sparse.tflite"),
)
FACE_LANDMARKS = ModelSpec(
    name="face_landmark.tflite",
    role="face mesh: 468 three-dimensional landmarks of one face",
    bytes=1242398,
    sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    licence="Apache-2.0",
    commercial=True,
    source="Google MediaPipe, Face Mesh, in the wheel mediapipe 0.10.21",
    origin=_google("modules/face_landmark/face_landmark.tflite"),
)

EMBEDDED: tuple[ModelSpec, ...] = (FACE_DETECTOR, FACE_LANDMARKS)
"""Every file the embedded engines need: free for commercial use, fetched at start-up."""

CATALOG: tuple[ModelSpec, ...] = (*EMBEDDED, *NEURAL_FACE, *NEURAL_VOICE)
"""Every file the product can use; what is not embedded is fetched only when asked for by name."""
