"""A PyTorch checkpoint from a stranger, read so that nothing in it is ever run and nothing is allocated on its word.

The ZIP directory is checked first, then the pickle inside is read by an unpickler that knows ten names and builds
descriptions only; the caller checks those against its schema, and only then `tensors` lets torch read numbers
(`weights_only=True`). Called by the readers of voices and networks at import, never by the server.
"""

import io
import math
import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.voice_refusal import VoiceRefused

MAX_MEMBERS = 4096
MAX_PICKLE_BYTES = 8 << 20
MAX_DIMENSIONS = 8

# What a pickle that does not parse, or that misuses what it is given, makes the unpickler raise.
PICKLE_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)

STORAGE_DTYPES: Mapping[str, tuple[str, int]] = {
    "HalfStorage": ("float16", 2),
    "FloatStorage": ("float32", 4),
    "DoubleStorage": ("float64", 8),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
}
"""Name of a storage class in a pickle -> its dtype and the bytes of one value."""

# What trainers leave in their files without meaning harm: refused as everything else is, only without an accusation.
# No package as a whole but the two that nobody has who does not train: numpy's own tests can run any text.
TRAINERS = ("fairseq.", "omegaconf.")
TRAINERS_NAMES = frozenset(
    {f"pathlib.{name}" for name in ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath")}
    | {f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")}
    | {"argparse.Namespace", "numpy.dtype", "numpy.ndarray", "torch.Size"}
)
PACKED = (".pth", ".pt", ".index")
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""PyTorch's magic number as a pickle, with which its files began before they were ZIP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """What the file says of one tensor; its values are not read yet."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Storage:
    """One block of numbers in the file."""

    dtype: str
    values: int


class CheckpointFile:
    """A checked file. `contents` is its object with a `TensorEntry` in the place of every tensor.

    Raises `VoiceRefused`: "checkpoint_unreadable", "checkpoint_format" (not PyTorch's ZIP format),
    "checkpoint_size", "checkpoint_code" (asks for more than tensors), "checkpoint_objects" (so do trainers' files),
    "checkpoint_damaged".
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._name = path.name
        self._bytes = _read(path, max_bytes)
        sizes, pickled = _members(self._name, self._bytes)
        self.contents: Any = _describe(self._name, pickled, sizes)

    @property
    def data(self) -> bytes:
        """The file as it was read, once: what was checked is what is loaded."""
        return self._bytes

    def tensors(self) -> Any:
        """The object with its tensors, on the CPU. Call it after the schema of `contents` has been checked."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of storage classes that torch renamed since the file was written
            try:
                return torch.load(io.BytesIO(self._bytes), map_location="cpu", weights_only=True)
            except (RuntimeError, OSError, *PICKLE_ERRORS):
                raise _damaged(self._name) from None


def _read(path: Path, max_bytes: int) -> bytes:
    too_large = f"{path.name} is larger than {max_bytes >> 20} MB, the most that such a checkpoint has."
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise VoiceRefused("checkpoint_size", too_large)
            data = file.read(max_bytes + 1)
    except OSError as error:
        sentence = f"{path} cannot be read ({error.strerror}): check the path and its permissions."
        raise VoiceRefused("checkpoint_unreadable", sentence) from None
    if len(data) > max_bytes:  # a pipe or a device has no size beforehand
        raise VoiceRefused("checkpoint_size", too_large)
    return data


def _members(name: str, data: bytes) -> tuple[dict[str, int], bytes]:
    """Sizes of the storages by key, and the pickle. No member is unpacked: PyTorch stores without compression."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise VoiceRefused("checkpoint_format", _other_format(name, data)) from None
    with archive:
        infos = archive.infolist()
        _check_unpacked(name, infos)
        _check_directory(name, infos, len(data))
        pickles = [info for info in infos if info.filename.count("/") == 1 and info.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > MAX_PICKLE_BYTES:
            raise _damaged(name)
        prefix = pickles[0].filename.removesuffix("data.pkl") + "data/"
        sizes = {info.filename[len(prefix) :]: info.file_size for info in infos if info.filename.startswith(prefix)}
        try:
            return sizes, archive.read(pickles[0])
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RuntimeError):
            raise _damaged(name) from None


def _other_format(name: str, data: bytes) -> str:
    if data.startswith(LEGACY_START):
        return (
            f"{name} is in PyTorch's format from before 1.6, which is not read here: save it again, with "
            "`torch.save(torch.load(FILE, weights_only=True), NEW_FILE)` of a newer PyTorch."
        )
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data):
        return f"{name} is in the safetensors format, which is not read here: give the .pth or .bin of the same."
    return f"{name} is not a checkpoint in PyTorch's ZIP format, or it is cut off: download it again."


def _check_unpacked(name: str, infos: list[zipfile.ZipInfo]) -> None:
    """People offer voices as an archive of the checkpoint and its index."""
    names = [info.filename.lower() for info in infos]
    if any(one.endswith(PACKED) for one in names) and not any(one.endswith("data.pkl") for one in names):
        sentence = f"{name} is an archive of other files: unpack it, give the .pth in it, and the .index by --index."
        raise VoiceRefused("checkpoint_format", sentence)


def _check_directory(name: str, infos: list[zipfile.ZipInfo], size: int) -> None:
    """Nothing compressed, nothing twice, nothing that adds up to more than the file: so no bomb."""
    names = {info.filename for info in infos}
    if len(infos) > MAX_MEMBERS or len(names) != len(infos):
        raise _damaged(name)
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
        sentence = f"{name} holds compressed or encrypted members, which PyTorch never writes: it is refused."
        raise VoiceRefused("checkpoint_format", sentence)
    if any(info.file_size != info.compress_size for info in infos) or sum(info.file_size for info in infos) > size:
        sentence = f"{name} claims to hold more bytes than it has: it is cut off or made to exhaust memory. Refused."
        raise VoiceRefused("checkpoint_size", sentence)


class _Describer(pickle.Unpickler):
    """Builds descriptions in place of tensors. Every name but the few below is refused before it is looked up."""

    def __init__(self, name: str, pickled: bytes, sizes: Mapping[str, int]) -> None:
        super().__init__(io.BytesIO(pickled))
        self._name = name
        self._sizes = sizes

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Ordered
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _RebuildTensor()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _RebuildParameter()
        if module == "torch" and name in STORAGE_DTYPES:
            return _StorageType(name)
        raise _asks_for(self._name, module, name)

    def persistent_load(self, pid: Any) -> _Storage:
        """`("storage", type, key, device, number of values)`, the number being what the member really holds."""
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage" and type(pid[1]) is _StorageType):
            raise _damaged(self._name)
        _, kind, key, _, values = pid
        dtype, width = STORAGE_DTYPES[kind.name]
        if type(values) is not int or type(key) is not str or self._sizes.get(key) != values * width:
            raise _damaged(self._name)
        return _Storage(dtype, values)


@dataclass(frozen=True, slots=True)
class _StorageType:
    """A storage class by its name; not callable, so that a pickle can do nothing with it."""

    name: str


class _Ordered(dict[Any, Any]):
    """Stands in for OrderedDict. torch hangs versions of modules on a state dict; they are let go."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Take no attribute from a pickle."""


class _RebuildTensor:
    """Stands in for torch's function; slotted, so that a pickle cannot set anything on it."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> TensorEntry:
        """Only dense tensors inside their storage: one with a stride of 0 would be huge once copied."""
        if type(storage) is not _Storage or type(shape) is not tuple or type(stride) is not tuple:
            raise ValueError("not a tensor")
        if len(shape) > MAX_DIMENSIONS or len(stride) != len(shape):
            raise ValueError("not a tensor")
        if any(type(number) is not int or number < 0 for number in (offset, *shape, *stride)):
            raise ValueError("not a tensor")
        if not _is_dense(shape, stride) or offset + math.prod(shape) > storage.values:
            raise ValueError("not a dense tensor inside its storage")
        return TensorEntry(dtype=storage.dtype, shape=shape)


class _RebuildParameter:
    """Stands in for torch's function: a parameter is its tensor."""

    __slots__ = ()

    def __call__(self, entry: Any, *_: Any) -> TensorEntry:
        if type(entry) is not TensorEntry:
            raise ValueError("not a tensor")
        return entry


def _is_dense(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether the strides, in some order of the axes, step through every value once."""
    step = 1
    for width, size in sorted((width, size) for width, size in zip(stride, shape, strict=True) if size != 1):
        if width != step:
            return False
        step *= size
    return True


def _describe(name: str, pickled: bytes, sizes: Mapping[str, int]) -> Any:
    try:
        return _Describer(name, pickled, sizes).load()
    except PICKLE_ERRORS:
        raise _damaged(name) from None


def _asks_for(file: str, module: str, name: str) -> VoiceRefused:
    """The refusal of a name that is not a tensor's."""
    wanted = f"{module}.{name}"
    shown = "".join(letter if letter.isalnum() or letter == "_" else "." for letter in wanted[:60])
    if wanted in TRAINERS_NAMES or (module.startswith(TRAINERS) and name.isidentifier()):
        sentence = (
            f"{file} holds more than numbers, `{shown}`, as a trainer's files do: it is refused and none of it was run."
        )
        return VoiceRefused("checkpoint_objects", sentence)
    sentence = (
        f"{file} asks to run `{shown}`, and a checkpoint is numbers only: it is refused and none of it was "
        "run. Do not open it with other programs either."
    )
    return VoiceRefused("checkpoint_code", sentence)


def _damaged(name: str) -> VoiceRefused:
    return VoiceRefused("checkpoint_damaged", f"{name} is damaged or cut off: download it again.")
