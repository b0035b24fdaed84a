"""The composition root: `python -m mirage_rtc` and the `mirage-rtc` script. Alone it sees all three packages.

A sub-command returns its exit code; an error that a person can mend ends as one sentence on stderr and exit code 2.
"""

import asyncio
import gc
import logging
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from rich.console import Console

from mirage_rtc import (
    audit,
    command_line,
    config,
    consent,
    doctor,
    encoder_probe,
    log_setup,
    model_commands,
    signing_key,
    voice_commands,
)
from mirage_rtc.audit import AuditLog
from mirage_rtc.command_line import Action, Command, Task
from mirage_rtc.config import Config
from mirage_rtc.consent import ConsentLedger
from mirage_rtc.errors import ConfigError, MirageError
from mirage_rtc.grants import Grants
from mirage_rtc.identities import IdentityVault
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.metrics import Metrics
from mirage_rtc.registry import FACE_NICE, EngineReport, Registry
from mirage_rtc.swap_pipeline import PrepareIdentity
from models import mask_art, voice_presets
from models.catalog import EMBEDDED
from models.engines import IdentitySource
from models.face_options import FaceOptions
from models.store import ModelMissing, Store
from signaling import app, auth

logger = logging.getLogger(__name__)

PACKAGED_PAGE = Path(app.__file__).resolve().parent / "web"
CHECKOUT_PAGE = Path(app.__file__).resolve().parent.parent / "web"

FACE_START_S = 120.0
"""Half a gigabyte of weights to a GPU, and once to the CPU that its answers are compared with."""
ENGINE_BUILD_S = 3600.0
"""TensorRT takes minutes for each network and precision that is new to it."""

ENGINES = {
    "mesh": "embedded mesh warp on the CPU",
    "neural": "neural: SCRFD, ArcFace and InSwapper",
    "world": "embedded WORLD vocoder on the CPU",
    "psola": "embedded TD-PSOLA on the CPU (install pyworld-prebuilt for the better one)",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` is without the program's name. Returns the exit code."""
    command = command_line.parse(sys.argv[1:] if argv is None else argv)
    try:
        settings = config.load_process(command.config, command.overrides)
        log_setup.configure(settings.log_level)
        return COMMANDS[command.action](command, settings, Console())
    except (MirageError, ModelMissing) as error:
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"mirage-rtc: {error.sentence}")
        return 2
    except KeyboardInterrupt:  # to stop is what was asked for
        return 0


def _serve(command: Command, settings: Config, console: Console) -> int:
    """Everything that can be refused first, then the models, then calls until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    key = signing_key.load_or_create(settings.data_dir)
    tls = _tls(settings)
    _require_free_port(settings)
    talk = Console(stderr=True, soft_wrap=True)  # stdout holds the link alone, for whoever pipes it
    model_commands.fetch_models(_store(settings), EMBEDDED, talk)
    asyncio.run(_run(command, settings, key, tls, console, talk))
    return 0


def _token(command: Command, settings: Config, console: Console) -> int:
    """A link for a server that runs with the same data directory."""
    key = signing_key.load_or_create(settings.data_dir)
    _print_link(console, _link(command, settings, key, port=settings.port))
    return 0


def _doctor(command: Command, settings: Config, console: Console) -> int:
    return doctor.report(settings, console)


def _models(command: Command, settings: Config, console: Console) -> int:
    store, agreed, names = _store(settings), command.accept_licence, command.names
    tasks: dict[Task, Callable[[], int]] = {
        "list": lambda: model_commands.list_models(store, model_commands.chosen(names), console),
        "fetch": lambda: model_commands.fetch_models(
            store, model_commands.chosen(names, EMBEDDED), console, agreed=agreed
        ),
        "verify": lambda: model_commands.verify_models(
            store, model_commands.chosen(names) if names else model_commands.present(store), console
        ),
        "path": lambda: model_commands.print_paths(store, model_commands.chosen(names), console),
        "import": lambda: model_commands.import_files(store, map(Path, names), console, agreed=agreed),
    }
    return tasks[command.task]()


def _voices(command: Command, settings: Config, console: Console) -> int:
    assert command.voice is not None
    return voice_commands.run(command.voice, settings.data_dir, console)


COMMANDS: dict[Action, Callable[[Command, Config, Console], int]] = {
    "serve": _serve,
    "token": _token,
    "doctor": _doctor,
    "models": _models,
    "voices": _voices,
}


async def _run(
    command: Command, settings: Config, key: bytes, tls: ssl.SSLContext | None, console: Console, talk: Console
) -> None:
    """Serve until a signal comes, then close everything in the order opposite to its opening."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with AuditLog(settings.data_dir / audit.FILE_NAME) as log, talk.status("Starting the engines") as status:
        async with (
            _composed(settings, key, log) as (registry, application),
            app.serve(application, host=settings.host, port=settings.port, tls=tls) as port,
        ):
            status.stop()
            _spare_the_collector()
            talk.print(_engines_in_words(registry.engines(), settings), highlight=False, markup=False)
            _print_link(console, _link(command, settings, key, port=port))
            await stop.wait()
            talk.print("Stopping.")


def _spare_the_collector() -> None:
    """What was made at start stays until the end: a full collection in a call need not walk through it."""
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def _composed(settings: Config, key: bytes, log: AuditLog) -> AsyncIterator[tuple[Registry, web.Application]]:
    """The registry with warm engines, and the application over it."""
    metrics = Metrics()
    encoder = await asyncio.to_thread(encoder_probe.choose, settings.video_encoder)
    logger.info("video encoder", extra={"encoder": encoder.codec, "why": encoder.why})
    registry = Registry(
        settings, face=_face(settings), voice=_voice(settings), audit=log, metrics=metrics, h264=encoder.codec
    )
    vault, forgetting = _vault(settings, key, registry)
    await registry.start(vault)
    try:
        yield (
            registry,
            app.build_app(
                config=settings,
                registry=registry,
                vault=vault,
                voices=voice_presets.PRESETS,
                link_key=auth.link_key(key),
                prometheus=metrics.registry,
                web_root=PACKAGED_PAGE if PACKAGED_PAGE.is_dir() else CHECKOUT_PAGE,
            ),
        )
    finally:
        await registry.close()
        await asyncio.gather(*forgetting, return_exceptions=True)  # the last calls' portraits, too


def _face(settings: Config) -> LaneSpec:
    store = _store(settings)
    return LaneSpec(
        engine="models.face_engine_choice:open_face_engine",
        pipeline="mirage_rtc.swap_pipeline:SwapPipeline",
        arguments={
            "choice": settings.face_engine,
            "store_root": str(store.root),
            "elsewhere": [str(folder) for folder in store.elsewhere],
            "options": FaceOptions(
                swapper=settings.face_swapper,
                masks=settings.face_masks,
                enhancer=settings.enhancer,
                gpu_runtime=settings.gpu_runtime,
                cache=settings.data_dir / "compiled",
            ),
        },
        warm_up=tuple(PrepareIdentity(identity=IdentitySource(kind="mask", name=mask.name)) for mask in mask_art.MASKS),
        nice=FACE_NICE,
        study_engine="models.portrait_judge:open_portrait_judge",
        start_timeout_s=ENGINE_BUILD_S if settings.gpu_runtime == "tensorrt" else FACE_START_S,
    )


def _voice(settings: Config) -> LaneSpec:
    return LaneSpec(
        engine="models.voice_engine_choice:open_voice_engine",
        pipeline="mirage_rtc.voice_pipeline:VoicePipeline",
        arguments={"choice": settings.voice_engine, "data_dir": str(settings.data_dir)},
    )


def _vault(settings: Config, key: bytes, registry: Registry) -> tuple[IdentityVault, set[asyncio.Task[None]]]:
    """The vault, and the set of tasks that tell the lanes what was forgotten."""
    forgetting: set[asyncio.Task[None]] = set()

    def on_forgotten(identity_id: str) -> None:
        task = asyncio.get_running_loop().create_task(registry.forget_identity(identity_id))
        forgetting.add(task)
        task.add_done_callback(forgetting.discard)

    ledger = ConsentLedger(settings.data_dir / consent.FILE_NAME, signing_key.derive(key, "consent"))
    vault = IdentityVault(
        masks=mask_art.MASKS,
        draw_mask=mask_art.thumbnail,
        ledger=ledger,
        inspect=registry.inspect_portraits,
        max_portraits=settings.max_portraits,
        max_bytes=settings.picture_max_bytes,
        max_pixels=settings.picture_max_pixels,
        on_forgotten=on_forgotten,
    )
    return vault, forgetting


def _store(settings: Config) -> Store:
    return model_commands.open_store(settings)


def _tls(settings: Config) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:  # ssl.SSLError is one
        sentence = f"MIRAGE_TLS_CERT and MIRAGE_TLS_KEY cannot be used: {error.strerror or 'they are not a pair'}."
        raise ConfigError("tls_unusable", sentence) from None
    return context


def _require_free_port(settings: Config) -> None:
    """Find a taken port before anything is fetched or started; `app.serve` has the last word."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        sentence = (
            f"Mirage cannot listen on port {settings.port} of {settings.host} ({error.strerror}): stop the program "
            "that holds it, or choose another with --port."
        )
        raise ConfigError("port_taken", sentence) from None


def _link(command: Command, settings: Config, key: bytes, *, port: int) -> str:
    grants = Grants(passthrough=command.passthrough, badge_off=command.badge_off)
    token = auth.mint(auth.link_key(key), command.subject, grants, settings.token_ttl_s, time.time())
    return f"{settings.page_url(port)}/#t={token}"


def _print_link(console: Console, link: str) -> None:
    """On a line of its own and never wrapped, so that it can be copied, and read by another program."""
    if console.is_terminal:
        console.print("Open this link; it opens one call:")
    console.print(link, style="bold cyan", highlight=False, soft_wrap=True, markup=False)


def _engines_in_words(report: EngineReport, settings: Config) -> str:
    face = ENGINES.get(report.face_name, report.face_name)
    voice = ENGINES.get(report.voice_name, report.voice_name)
    words = f"Face: {face}, {report.face_state}. Voice: {voice}, {report.voice_state}."
    if settings.face_engine == "neural" and report.face_name != "neural":
        words += f"\nThe neural face engine was asked for and does not run: {report.face_why}"
    if report.voice_offers or settings.voice_engine == "neural":
        words += f"\n{report.voice_why[:1].upper()}{report.voice_why[1:].rstrip('.')}."
    return words


if __name__ == "__main__":
    sys.exit(main())
