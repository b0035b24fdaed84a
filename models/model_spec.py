"""What the catalogue says of one model file: bytes, licence, where it comes from, what the graph takes and gives.

Pure data, made by `models.catalog` and `models.neural_face_catalog`, read by the store, the runtime and the commands.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

Shape = tuple[int | None, ...]
"""Sizes of a tensor; None is a size that the graph may leave open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelMember:
    """A file inside a pinned wheel of the Python package index, got through the pip client."""

    distribution: str
    version: str
    member: str

    @property
    def requirement(self) -> str:
        """The pinned requirement, such as `mediapipe==0.10.21`."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlFile:
    """A file of its own behind an http(s) address."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipMember:
    """A file inside a pinned .zip archive behind an http(s) address; `member` is its base name, in whatever folder."""

    url: str
    bytes: int
    sha256: str
    member: str


Origin = WheelMember | UrlFile | ZipMember


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Exactly these bytes: how many, and their SHA-256 in lower-case hex."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output of a graph. An empty `name` accepts any; None in `shape` accepts any size, open or fixed."""

    shape: Shape
    name: str = ""
    dtype: str = "float32"

    def __str__(self) -> str:
        """Such as `target float32 1x3x128x128`, a free size as ?."""
        sizes = "x".join("?" if size is None else str(size) for size in self.shape)
        return " ".join(part for part in (self.name, self.dtype, sizes) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphContract:
    """What a graph takes and gives, in order. `free_px` stands for the open sides when the graph is tried out.

    With `further_outputs` it may give more behind those, which nobody reads.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    free_px: int = 320
    further_outputs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One file the product can use. `name` is its file name, under `folder` in the store; `sha256` is lower-case hex.

    `also` pins other files that go by the same name and do the same; `licence` is SPDX where there is an identifier.
    What is not `commercial` is fetched only after its licence was accepted.
    """

    name: str
    role: str
    bytes: int
    sha256: str
    licence: str
    commercial: bool
    source: str
    origin: Origin
    folder: str = ""
    also: tuple[Pin, ...] = ()
    contract: GraphContract | None = None

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Every accepted file."""
        return (Pin(bytes=self.bytes, sha256=self.sha256), *self.also)

    @property
    def relative(self) -> PurePosixPath:
        """Where the file lies under the root of a store."""
        return PurePosixPath(self.folder, self.name)
