"""Checkpoints of strangers: what is read, and every way a file can be hostile or broken, refused without a trace."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from models.convert.checkpoint_file import CheckpointFile, TensorEntry
from models.voice_refusal import VoiceRefused

LIMIT = 1 << 20


def saved(folder: Path, contents: Any, **options: Any) -> Path:
    """A file as torch writes it."""
    path = folder / "file.pth"
    torch.save(contents, path, **options)
    return path


def refusal(path: Path) -> VoiceRefused:
    """Why the file is refused."""
    with pytest.raises(VoiceRefused) as caught:
        CheckpointFile(path, max_bytes=LIMIT)
    assert caught.value.sentence.endswith(".")
    return caught.value


def rewritten(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """The same members with other bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))
    return path


def with_pickle(folder: Path, pickled: bytes) -> Path:
    """A real file whose pickle is replaced."""
    path = saved(folder, {"a": torch.ones(4)})
    return rewritten(path, lambda name, data: pickled if name.endswith("data.pkl") else data)


class Gadget:
    """What an attacker puts in: a call of any function when the file is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


class Storage:
    """Pickled as a storage of the file."""

    def __init__(self, values: int, key: str = "0") -> None:
        self.pid = ("storage", torch.FloatStorage, key, "cpu", values)


class Rebuilt:
    """Pickled as a tensor over that storage."""

    def __init__(self, values: int, shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> None:
        self.parts: tuple[Any, ...] = (Storage(values), offset, shape, stride, False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return (torch._utils._rebuild_tensor_v2, self.parts)


class StoragePickler(pickle.Pickler):
    """Writes storages by reference, as torch does."""

    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, Storage) else None


def pickled(contents: Any) -> bytes:
    """Pickle bytes with storages by reference."""
    buffer = io.BytesIO()
    StoragePickler(buffer, 2).dump(contents)
    return buffer.getvalue()


def test_a_checkpoint_is_described_before_it_is_read(tmp_path: Path) -> None:
    """Names, shapes, dtypes and plain values first; then the numbers themselves."""
    contents = {"w": torch.arange(6).reshape(2, 3).half(), "p": torch.nn.Parameter(torch.ones(2)), "n": [1, "x", 2.5]}
    file = CheckpointFile(saved(tmp_path, OrderedDict(contents)), max_bytes=LIMIT)
    described = file.contents
    assert described["w"] == TensorEntry(dtype="float16", shape=(2, 3))
    assert described["p"] == TensorEntry(dtype="float32", shape=(2,))
    assert described["n"] == [1, "x", 2.5]
    assert torch.equal(file.tensors()["w"], contents["w"])


def test_a_state_dict_with_versions_of_its_modules_is_read(tmp_path: Path) -> None:
    """As `torch.save(model.state_dict())` writes it; the attribute that torch hangs on it is dropped."""
    state = torch.nn.Linear(2, 3).state_dict()
    assert state._metadata
    described = CheckpointFile(saved(tmp_path, state), max_bytes=LIMIT).contents
    assert described == {
        "weight": TensorEntry(dtype="float32", shape=(3, 2)),
        "bias": TensorEntry(dtype="float32", shape=(3,)),
    }
    assert not hasattr(described, "_metadata")


def test_a_transposed_tensor_is_dense_too(tmp_path: Path) -> None:
    """Memory order is the writer's affair, as long as every value is there once."""
    file = CheckpointFile(saved(tmp_path, {"w": torch.arange(6.0).reshape(2, 3).t()}), max_bytes=LIMIT)
    assert file.contents["w"].shape == (3, 2)


def test_what_was_checked_is_what_is_loaded(tmp_path: Path) -> None:
    """A file that is exchanged between check and use changes nothing."""
    path = saved(tmp_path, {"w": torch.ones(2)})
    file = CheckpointFile(path, max_bytes=LIMIT)
    saved(tmp_path, {"w": torch.zeros(2)})
    assert torch.equal(file.tensors()["w"], torch.ones(2))


def test_a_pickle_that_calls_a_function_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    """The classic: a reduce. The sentence names what was asked for."""
    marker = tmp_path / "marker"
    refused = refusal(saved(tmp_path, {"weight": Gadget(marker)}))
    assert refused.code == "checkpoint_code"
    assert "posix.mkdir" in refused.sentence
    assert not marker.exists()


@pytest.mark.parametrize(
    "pickle_bytes",
    [
        b"cposix\nsystem\n(S'touch marker'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\ngetattr\n.",
        b"ctorch\nload\n.",
        b"\x80\x04\x8c\x05torch\x8c\x17serialization.os.system\x93.",
        b"(S'touch marker'\niposix\nsystem\n.",
    ],
)
def test_every_name_but_torch_s_own_rebuilders_is_refused(tmp_path: Path, pickle_bytes: bytes) -> None:
    """Old and new opcodes, dotted names, names inside torch."""
    assert refusal(with_pickle(tmp_path, pickle_bytes)).code == "checkpoint_code"
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "name",
    [
        "fairseq.data.dictionary Dictionary",
        "argparse Namespace",
        "omegaconf.dictconfig DictConfig",
        "numpy.core.multiarray scalar",
        "numpy._core.multiarray _reconstruct",
        "torch Size",
        "pathlib PosixPath",
    ],
)
def test_what_trainers_leave_in_their_files_is_refused_without_an_accusation(tmp_path: Path, name: str) -> None:
    """It is looked up no more than anything else; hubert_base.pt, which people have, is such a file."""
    module, _, attribute = name.partition(" ")
    refused = refusal(with_pickle(tmp_path, f"c{module}\n{attribute}\n(S'touch marker'\ntR.".encode()))
    assert refused.code == "checkpoint_objects"
    assert f"`{module}.{attribute}`" in refused.sentence
    assert "none of it was run" in refused.sentence


@pytest.mark.parametrize("name", ["numpy.testing._private.utils runstring", "pathlib os.system", "torch Size.x"])
def test_a_known_package_lends_no_name_to_what_it_can_run(tmp_path: Path, name: str) -> None:
    """numpy's own tests hold functions that run any text."""
    module, _, attribute = name.partition(" ")
    pickle_bytes = b"\x80\x04\x8c" + bytes([len(module)]) + module.encode()
    pickle_bytes += b"\x8c" + bytes([len(attribute)]) + attribute.encode() + b"\x93."
    assert refusal(with_pickle(tmp_path, pickle_bytes)).code == "checkpoint_code"


def test_a_name_cannot_paint_the_terminal(tmp_path: Path) -> None:
    """Escape sequences and endless names do not reach the sentence."""
    name = b"\x1b[2J" + b"x" * 5000
    sentence = refusal(with_pickle(tmp_path, b"cmodule\n" + name + b"\n.")).sentence
    assert "\x1b" not in sentence
    assert len(sentence) < 300


@pytest.mark.parametrize(
    "contents",
    [
        pytest.param(Rebuilt(10**10, (10**10,), (1,)), id="storage larger than its member"),
        pytest.param(Rebuilt(4, (5,), (1,)), id="tensor larger than its storage"),
        pytest.param(Rebuilt(4, (4,), (1,), offset=1), id="tensor past the end"),
        pytest.param(Rebuilt(4, (10**5, 10**5), (0, 0)), id="one value shown ten billion times"),
        pytest.param(Rebuilt(4, (-1,), (1,)), id="negative size"),
        pytest.param(Rebuilt(4, (2, 2), (1,)), id="strides missing"),
        pytest.param(Storage(4, key="../0"), id="storage that is not there"),
    ],
)
def test_tensors_that_lie_about_their_memory_are_refused(tmp_path: Path, contents: Any) -> None:
    """torch itself believes the count in the pickle and would read past the member."""
    assert refusal(with_pickle(tmp_path, pickled({"a": contents}))).code == "checkpoint_damaged"


@pytest.mark.parametrize("pickle_bytes", [b"", b".", b"garbage", b"\x80\x02}q\x00(", b"\x80\x02K\x01Q.", b"(" * 100])
def test_broken_pickles_are_damaged_files(tmp_path: Path, pickle_bytes: bytes) -> None:
    """Whatever the unpickler raises."""
    assert refusal(with_pickle(tmp_path, pickle_bytes)).code == "checkpoint_damaged"


def test_a_build_cannot_change_the_reader(tmp_path: Path) -> None:
    """The stand-ins for torch's functions take no attributes from a pickle."""
    build = b"ctorch._utils\n_rebuild_tensor_v2\n}S'__doc__'\nS'x'\nsb."
    assert refusal(with_pickle(tmp_path, build)).code == "checkpoint_damaged"
    assert CheckpointFile(saved(tmp_path, {"w": torch.ones(2)}), max_bytes=LIMIT).contents["w"].shape == (2,)


def test_a_file_that_is_cut_off_is_not_a_checkpoint(tmp_path: Path) -> None:
    """At any place: half, the last byte, nothing."""
    whole = saved(tmp_path, {"w": torch.ones(1000)}).read_bytes()
    for size in (len(whole) // 2, len(whole) - 1, 0):
        (tmp_path / "cut.pth").write_bytes(whole[:size])
        assert refusal(tmp_path / "cut.pth").code in {"checkpoint_format", "checkpoint_damaged"}


def test_old_and_other_formats_are_named_as_such(tmp_path: Path) -> None:
    """torch's format before ZIP would need a pickle that runs; a plain pickle is one."""
    old = saved(tmp_path, {"w": torch.ones(2)}, _use_new_zipfile_serialization=False)
    refused = refusal(old)
    assert refused.code == "checkpoint_format"
    assert "before 1.6" in refused.sentence
    (tmp_path / "voice.safetensors").write_bytes((8).to_bytes(8, "little") + b'{"a":{}}')
    assert "safetensors" in refusal(tmp_path / "voice.safetensors").sentence
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"w": 1}))
    assert refusal(tmp_path / "plain.pth").code == "checkpoint_format"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_download_that_is_packed_is_to_be_unpacked(tmp_path: Path, compression: int) -> None:
    """A voice as people offer it: its file and its index in one archive."""
    voice = saved(tmp_path, {"w": torch.ones(2)}).read_bytes()
    with zipfile.ZipFile(tmp_path / "voice.zip", "w", compression) as archive:
        archive.writestr("Grace/grace.pth", voice)
        archive.writestr("Grace/added.index", b"index")
    refused = refusal(tmp_path / "voice.zip")
    assert refused.code == "checkpoint_format"
    assert "unpack" in refused.sentence


def test_a_bomb_is_refused_without_being_unpacked(tmp_path: Path) -> None:
    """64 MB of zeros in a small file: PyTorch never compresses."""
    path = saved(tmp_path, {"w": torch.ones(2)})
    bomb = rewritten(
        path, lambda name, data: bytes(64 << 20) if name.endswith("data/0") else data, zipfile.ZIP_DEFLATED
    )
    assert bomb.stat().st_size < LIMIT
    assert refusal(bomb).code == "checkpoint_format"


def test_a_header_of_ten_gigabytes_is_refused(tmp_path: Path) -> None:
    """A member that claims more bytes than the file has."""
    path = tmp_path / "header.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"}.")
        archive.writestr("archive/data/0", b"1234")
        archive.infolist()[1].file_size = archive.infolist()[1].compress_size = 10 << 30
    assert refusal(path).code == "checkpoint_size"


def test_a_file_larger_than_any_voice_is_not_read(tmp_path: Path) -> None:
    """Ten gigabytes that take no place on the disk, and would take it in memory."""
    path = tmp_path / "large.pth"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    assert refusal(path).code == "checkpoint_size"
    assert refusal(Path("/dev/zero")).code == "checkpoint_size"


def test_two_pickles_or_twice_the_same_member_are_refused(tmp_path: Path) -> None:
    """Readers disagree about which one counts."""
    path = tmp_path / "two.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"}.")
        archive.writestr("b/data.pkl", b"}.")
    assert refusal(path).code == "checkpoint_damaged"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"}.")
        archive.writestr("a/data.pk", b"}.")
        archive.infolist()[1].filename = "a/data.pkl"  # only in the directory: writing it twice would warn
    assert refusal(path).code == "checkpoint_damaged"


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """With the path and the reason."""
    assert refusal(tmp_path / "none.pth").code == "checkpoint_unreadable"
