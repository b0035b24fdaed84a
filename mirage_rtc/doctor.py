"""`mirage-rtc doctor`: what is installed, which engines would run, what is missing and the command that mends it.

Called by `mirage_rtc.__main__`. Every check returns findings and changes nothing: no directory, no key, no download.
"""

import importlib
import importlib.metadata
import os
import shutil
import socket
import ssl
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console

from mirage_rtc import model_commands, signing_key
from mirage_rtc.config import Config
from mirage_rtc.finding import Finding, Grade
from models.catalog import EMBEDDED

GRADES: dict[Grade, str] = {"ok": "green", "note": "yellow", "fault": "red"}

DEPENDENCIES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "aiohttp": "aiohttp",
    "aiortc": "aiortc",
    "av": "av",
    "cryptography": "cryptography",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "pillow": "PIL.Image",
    "pip": "pip",
    "prometheus-client": "prometheus_client",
    "PyJWT": "jwt",
    "pyworld-prebuilt": "pyworld",
    "rich": "rich",
}
"""Distribution -> the module whose import proves that it works. The same set as in pyproject.toml (tested)."""

SPARE = {"pyworld-prebuilt": "the voice engine is the embedded TD-PSOLA instead of the better WORLD"}
"""Dependencies that the server starts without, and what is lost."""

PROGRAMS = {
    "chromium": "only the browser tests need it: apt-get install chromium",
    "turnserver": "only callers behind strict firewalls need TURN: apt-get install coturn, then turn/README.md",
    "nvidia-smi": "no NVIDIA driver; the embedded engines need none",
}


def report(config: Config, console: Console) -> int:
    """Print every finding; exit code 1 when the server could not start."""
    findings = list(examine(config))
    for finding in findings:
        console.print(f"[{GRADES[finding.grade]}]{finding.grade:<5}[/] {finding.what}", highlight=False, soft_wrap=True)
        if finding.mend:
            console.print(f"        {finding.mend}", highlight=False, soft_wrap=True, markup=False)
    faults = sum(finding.grade == "fault" for finding in findings)
    console.print("The server can start." if not faults else f"The server cannot start: {faults} faults above.")
    return min(faults, 1)


def examine(config: Config) -> Iterator[Finding]:
    """All checks, from the ground up."""
    yield _python()
    dependencies = [_dependency(name, module) for name, module in DEPENDENCIES.items()]
    yield from dependencies
    yield from _models(config)
    yield from _engines(config, dependencies)
    yield from _encoder(config, dependencies)
    yield _data_dir(config.data_dir)
    yield from _tls(config)
    yield _port(config)
    yield _turn(config)
    yield from (_program(name, sentence) for name, sentence in PROGRAMS.items())


def _python() -> Finding:
    return Finding(grade="ok", what=f"Python {sys.version.split()[0]}")


def _dependency(name: str, module: str) -> Finding:
    mend = f"run `{sys.executable} -m pip install --force-reinstall {name}`"
    grade: Grade = "note" if name in SPARE else "fault"
    lost = f": {SPARE[name]}" if name in SPARE else ""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(grade=grade, what=f"{name} is not installed{lost}", mend=mend)
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001  a broken native library raises ImportError, OSError, AttributeError ...
        what = f"{name} {version} does not import ({type(error).__name__}){lost}"
        return Finding(grade=grade, what=what, mend=mend)
    return Finding(grade="ok", what=f"{name} {version}")


def _models(config: Config) -> Iterable[Finding]:
    store = model_commands.open_store(config)
    for spec in model_commands.present(store):
        state = store.state(spec)
        if state == "ready":
            yield Finding(grade="ok", what=f"model {spec.name}")
            continue
        needed = spec in EMBEDDED
        grade: Grade = "fault" if config.offline and needed else "note"
        later = "; `serve` fetches it at start-up" if needed and not config.offline else ""
        what = f"model {spec.name} is {state}{later}"
        yield Finding(grade=grade, what=what, mend=f"run `mirage-rtc models fetch {spec.name}` with a network")


def _engines(config: Config, dependencies: list[Finding]) -> Iterable[Finding]:
    """The engines' own findings are imported here: what they import is a finding of its own when it is broken."""
    broken = {name for name, finding in zip(DEPENDENCIES, dependencies, strict=True) if finding.grade != "ok"}
    if not broken & {"ai-edge-litert", "opencv-python-headless", "numpy"}:
        from mirage_rtc import engine_findings

        yield from engine_findings.examine(config)
    if "numpy" not in broken:
        voice = "TD-PSOLA" if "pyworld-prebuilt" in broken else "WORLD"
        yield Finding(grade="ok", what=f"voice engine: embedded {voice}, on the CPU")
        yield from _imported_voices(config)


def _imported_voices(config: Config) -> Iterable[Finding]:
    """Whether they would be offered beside the embedded ones, by what the voice lane asks when it starts."""
    from models.voice_engine_choice import open_voice_engine

    rack = open_voice_engine(config.voice_engine, str(config.data_dir))
    asked_in_vain = config.voice_engine == "neural" and not rack.extras
    mend = "do what it says, or set MIRAGE_VOICE_ENGINE=auto and be content" if asked_in_vain else ""
    yield Finding(grade="note" if asked_in_vain else "ok", what=rack.why, mend=mend)


def _encoder(config: Config, dependencies: list[Finding]) -> Iterable[Finding]:
    """Encode a few pictures with what the server would take. Imported here: a broken PyAV is a finding of its own."""
    usable = {name for name, finding in zip(DEPENDENCIES, dependencies, strict=True) if finding.grade == "ok"}
    if not usable >= {"av", "numpy"}:
        return
    from mirage_rtc import encoder_probe

    choice = encoder_probe.choose(config.video_encoder)
    missed = config.video_encoder == "nvenc" and not choice.hardware
    mend = "install the NVIDIA driver, or set MIRAGE_VIDEO_ENCODER=auto" if missed else ""
    yield Finding(grade="note" if missed else "ok", what=f"video encoder: {choice.sentence}", mend=mend)


def _data_dir(data_dir: Path) -> Finding:
    if not data_dir.exists():
        return Finding(grade="ok", what=f"data directory {data_dir} will be made on the first run")
    if data_dir.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        what = f"data directory {data_dir} is open to others"
        return Finding(grade="note", what=what, mend=f"run `chmod 700 {data_dir}`")
    if not os.access(data_dir, os.W_OK):
        return Finding(grade="fault", what=f"data directory {data_dir} is read-only", mend="set MIRAGE_DATA_DIR")
    key = data_dir / signing_key.FILE_NAME
    if key.exists() and key.stat().st_mode & 0o077:
        return Finding(grade="fault", what="the signing key can be read by others", mend=f"run `chmod 600 {key}`")
    return Finding(grade="ok", what=f"data directory {data_dir}")


def _tls(config: Config) -> Iterable[Finding]:
    if config.tls_cert is None:
        where = "this machine only" if not config.behind_proxy else "a proxy that speaks TLS"
        yield Finding(grade="ok", what=f"plain HTTP, for {where}")
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        mend = f"check MIRAGE_TLS_CERT and MIRAGE_TLS_KEY: {error.strerror or error}"
        yield Finding(grade="fault", what="the TLS certificate cannot be used", mend=mend)
        return
    yield Finding(grade="ok", what="TLS certificate and key")


def _port(config: Config) -> Finding:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        with socket.create_server((config.host, config.port), family=family):
            return Finding(grade="ok", what=f"port {config.port} on {config.host} is free")
    except OSError as error:
        what = f"port {config.port} on {config.host} cannot be taken ({error.strerror})"
        return Finding(grade="fault", what=what, mend="stop the other program, or run `mirage-rtc serve --port 8081`")


def _turn(config: Config) -> Finding:
    if config.turn_urls:
        return Finding(grade="ok", what=f"TURN: {len(config.turn_urls)} addresses are handed to callers")
    return Finding(grade="ok", what="TURN: none, which is enough on this machine and in most local networks")


def _program(name: str, sentence: str) -> Finding:
    path = shutil.which(name)
    return Finding(grade="ok", what=f"{name} at {path}") if path else Finding(grade="note", what=f"{name}: {sentence}")
