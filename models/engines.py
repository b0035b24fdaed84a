"""The two seams of the media path: what a face engine and a voice engine are.

Both run inside an inference lane (`mirage_rtc.inference`), one process each, called from one thread. The pipelines
know these Protocols and nothing of the networks behind them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""A picture: (height, width, 3), uint8, BGR, C-contiguous."""

Samples = NDArray[np.float32]
"""Mono audio: (n,), float32, in [-1, 1]."""


class PortraitError(ValueError):
    """A source portrait cannot be used; `code` is a wire code such as `portrait_no_face`."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySource:
    """What a face engine makes an identity of: the name of a built-in mask, or a portrait of one person, or several.

    An engine that recognises takes the mean of `portrait` and `more`, the other takes the best of them.
    """

    kind: Literal["mask", "portrait"]
    name: str
    portrait: Frame | None = None
    more: tuple[Frame, ...] = ()


Others = Literal["blur", "swap", "passthrough"]
"""What becomes of people that a mapping does not name: blurred, made to look like the call's identity, left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedFace:
    """One line of a mapping: who resembles `reference` by a cosine of `threshold` wears `wears`; None is blurred."""

    reference: IdentitySource
    wears: IdentitySource | None
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceMapping:
    """Who of the people in a call's picture wears what. With `lock` a face keeps its part until it is contradicted."""

    faces: tuple[MappedFace, ...]
    others: Others
    lock: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPart:
    """A `MappedFace` whose identities the engine has prepared."""

    reference: Any
    wears: Any | None
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceBox:
    """One face in the input frame, in pixels of that frame; one neither `swapped` nor `untouched` is blurred."""

    x_px: float
    y_px: float
    width_px: float
    height_px: float
    score: float
    swapped: bool
    untouched: bool = False


EnhancerMode = Literal["off", "auto", "every"]
"""Never; as often as the lane has time for; every frame unless the lane is overloaded."""
EnhancerName = Literal["codeformer", "gpen-256", "gfpgan"]
EnhancerPause = Literal["", "busy", "failed", "face", "opening"]
"""Why a wished enhancer does not work: no time, off after failures, not believed on these faces, not open yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhancerWish:
    """What one call asks of an enhancer. Without a `model` it is the server's first; `fidelity` is CodeFormer's only.

    It is in [0, 1]: 0 draws the sharpest face, 1 keeps most of the swap.
    """

    mode: EnhancerMode = "off"
    model: EnhancerName | None = None
    fidelity: float = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Enhancement:
    """Which enhancer works on a call's faces, on each `every`th frame; 0: none, and `paused` says why if one is wished.

    `fault`: what failed this time.
    """

    model: str = ""
    every: int = 0
    paused: EnhancerPause = ""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One processed frame. Every face found in it is swapped or blurred, unless a mapping leaves it `untouched`."""

    frame: Frame
    faces: tuple[FaceBox, ...] = ()
    stage_ms: dict[str, float] = field(default_factory=dict)
    """CPU time by stage; `wall_ms` is the time by the clock, of a run for several frames the whole."""
    wall_ms: dict[str, float] = field(default_factory=dict)
    enhancement: Enhancement = Enhancement()

    @property
    def swapped(self) -> int:
        """How many faces wear the identity."""
        return sum(face.swapped for face in self.faces)


class FaceWearer(Protocol):
    """The face state of one call: its tracks, filters and the identity it wears."""

    def wear(self, identity: Any) -> None:
        """Wear a prepared identity from the next frame on; tracks and colour state start afresh."""

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """Swap one frame captured at `time_s` (monotonic seconds). May overwrite `frame`."""


@runtime_checkable
class EnhancingWearer(Protocol):
    """A wearer whose engine has enhancers."""

    def enhance(self, wish: EnhancerWish) -> None:
        """Enhance as wished from the next frame on."""


class FaceEngine(Protocol):
    """A way to put another face on a person."""

    name: str

    def prepare(self, source: IdentitySource) -> Any:
        """Make an identity once; raises `PortraitError` for a portrait without exactly one usable face."""

    def open(self, *, max_faces: int) -> FaceWearer:
        """State for one call. Until it wears an identity every face is blurred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRequest:
    """One frame of one call, as `FaceWearer.swap` takes it."""

    wearer: FaceWearer
    frame: Frame
    time_s: float


@runtime_checkable
class BatchFaceEngine(Protocol):
    """A face engine that takes frames of several calls at once, because its networks are faster so."""

    batch_max: int
    """How many frames are worth taking together."""

    def swap_batch(self, requests: Sequence[SwapRequest]) -> list[Swap | Exception]:
        """Swap each frame as its wearer's `swap` would; what that would raise stands in its place."""


@runtime_checkable
class RecognisingFaceEngine(Protocol):
    """A face engine that tells people apart, so that each can wear a face of their own."""

    def mapped(self, identity: Any, parts: Sequence[PreparedPart], *, others: Others, lock: bool) -> Any:
        """What a wearer wears to follow a mapping; all that is given was prepared by this engine."""


@runtime_checkable
class StepwiseFaceEngine(Protocol):
    """A face engine that makes an identity of several portraits a portrait at a time, so that frames go in between."""

    def steps(self, source: IdentitySource) -> Iterator[Any]:
        """As `FaceEngine.prepare`: None after each portrait but the last, then the identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceProfile:
    """What "like this clip" keeps of a reference voice. Opaque to all but the engine that measured it."""

    values: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceSettings:
    """How a voice is to sound: `pitch_semitones` adds to the preset's shift, `formant_ratio` multiplies its warp.

    `index_rate` and `protect` are heard in imported voices only, `breath` and `reference` in the built-in ones only;
    gain, gate and denoiser act on the microphone, before either (`models.voice_front`).
    """

    preset: str = "disguise"
    pitch_semitones: float = 0.0
    auto_pitch: bool = False
    """Bring the speaker to an imported voice's usual pitch, where that is on record; `pitch_semitones` comes on top."""
    formant_ratio: float = 1.0
    breath: float = 0.0
    reference: VoiceProfile | None = None
    index_rate: float = 0.0
    """How much of what is said is taken from the voice's own recordings, 0 to 1."""
    protect: float = 0.33
    """How much of that where there is no pitch, so that breath and "s" stay clear: 0 none, 0.5 as elsewhere."""
    input_gain_db: float = 0.0
    gate_db: float | None = None
    """What is quieter than this, in dB of full scale, is silence; None: no gate."""
    denoise: bool = False


class VoiceStream(Protocol):
    """The voice state of one call."""

    delay_ms: float
    """Constant content delay in ms, the hop excluded: output sample n sounds what input sample n - delay said."""

    def set_voice(self, settings: VoiceSettings) -> None:
        """Sound like `settings` from the next hop on, without a click."""

    def convert(self, hop: Samples) -> Samples:
        """Convert one hop; returns exactly as many samples."""


class VoiceEngine(Protocol):
    """A way to make a voice sound like another."""

    name: str

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """State for one call at `sample_rate_hz` (48000 on the WebRTC path, 16000 on the chunk path)."""

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Measure a reference clip of 3 to 30 s; raises ValueError with a sentence when it holds no usable speech."""
