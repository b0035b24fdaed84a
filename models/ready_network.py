"""An RMVPE that is an ONNX graph already: looked at, tried out in a process of its own, stored as it is. No torch.

Any file is taken that is plain and does what RMVPE does; whether it is the published one, its record says by its hash.
Called by `mirage_rtc.voice_commands`.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from models import network_trial, onnx_guard
from models.pinned_folders import sha256
from models.voice_networks import GRAPH_NAME, PITCH, NetworkSource, VoiceNetworkStore, write_source
from models.voice_refusal import VoiceRefused

Progress = Callable[[str], None]


def store_ready(path: Path, *, store: VoiceNetworkStore, progress: Progress) -> tuple[str, ...]:
    """Store the graph in `path`; returns its name. Raises `VoiceRefused`, and then nothing is left behind.

    The bytes are copied first: what was checked and tried is what is stored, whatever happens to the file meanwhile.
    """
    onnx_guard.check(path)
    with store.folders.adding(PITCH.name) as folder:
        progress(f"reading {path.name}")
        copy = folder / GRAPH_NAME
        shutil.copyfile(path, copy)
        onnx_guard.check(copy)
        progress(f"trying {path.name}")
        why = network_trial.fault(copy, PITCH)
        if why:
            sentence = f"{path.name} {why}: it is not RMVPE, and is not stored. Use rmvpe.onnx as it was published."
            raise VoiceRefused("graph_contract", sentence)
        write_source(folder, NetworkSource(file=path.name, sha256=sha256(copy)))
    return (PITCH.name,)
