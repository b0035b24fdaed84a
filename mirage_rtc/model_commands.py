"""`mirage-rtc models list | fetch | verify | path | import`, and the fetch that `serve` makes before it listens.

Called by `mirage_rtc.__main__`. The store does the work; here it gets words, a table, a question and a progress bar.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.prompt import Confirm
from rich.table import Column, Table

from mirage_rtc import enhancer_commands
from mirage_rtc.config import Config
from mirage_rtc.errors import Forbidden, NotFound
from models.catalog import CATALOG, EMBEDDED
from models.model_spec import ModelSpec
from models.neural_face_catalog import CODEFORMER, INSWAPPER_FP16, INSWAPPER_FP32
from models.store import Store

STATE_COLOURS = {"ready": "green", "missing": "yellow", "corrupt": "red"}


def open_store(settings: Config) -> Store:
    """The server's store: files of an existing ~/.insightface/models are used as they are, addresses as configured."""
    return Store(
        settings.data_dir / "models",
        offline=settings.offline,
        elsewhere=(Path.home() / ".insightface" / "models",),
        sources=_sources(settings),
    )


def chosen(names: Sequence[str], default: tuple[ModelSpec, ...] = CATALOG) -> tuple[ModelSpec, ...]:
    """The catalogue's entries of those names, or `default` when none is given. Raises `NotFound` "model_unknown"."""
    known = {spec.name: spec for spec in CATALOG}
    for name in names:
        if name not in known:
            raise NotFound("model_unknown", f"There is no model {name}: the catalogue has {', '.join(known)}.")
    return tuple(known[name] for name in names) or default


def list_models(store: Store, specs: Iterable[ModelSpec], console: Console) -> int:
    """Print name, use, size, licence and state; returns exit code 0."""
    specs = tuple(specs)
    names = Column("Model", min_width=max(len(spec.name) for spec in specs))  # whole, so that they can be typed
    others = Column("Size", no_wrap=True), Column("Licence", max_width=14), Column("State", no_wrap=True)
    table = Table(names, *others, title=f"Models in {store.root}", title_justify="left", box=SIMPLE, pad_edge=False)
    for spec in specs:
        state = store.state(spec)
        licence = spec.licence if spec.commercial else f"{spec.licence}, not for commercial use"
        colour = STATE_COLOURS[state]
        table.add_row(f"{spec.name}\n[dim]{spec.role}[/]", _megabytes(spec.bytes), licence, f"[{colour}]{state}[/]")
    console.print(table)
    return 0


def verify_models(store: Store, specs: Iterable[ModelSpec], console: Console) -> int:
    """Read every file again; exit code 1 when one is not what the catalogue pins."""
    states = {spec.name: store.state(spec) for spec in specs}
    for name, state in states.items():
        console.print(f"[{STATE_COLOURS[state]}]{state:<8}[/] {name}", highlight=False)
    if set(states.values()) <= {"ready"}:
        return 0
    console.print("`mirage-rtc models fetch NAME` gets what is missing or corrupt.")
    return 1


def present(store: Store) -> tuple[ModelSpec, ...]:
    """What `verify` reads when no name is given: all that the server needs, and whatever else is there."""
    return tuple(spec for spec in CATALOG if spec in EMBEDDED or store.state(spec) != "missing")


def print_paths(store: Store, specs: Iterable[ModelSpec], console: Console) -> int:
    """Print where each verified file lies, one a line, for a script. Raises `ModelMissing` with what to do."""
    for spec in specs:
        console.print(str(store.path(spec)), highlight=False, soft_wrap=True, markup=False)
    return 0


def fetch_models(store: Store, specs: Iterable[ModelSpec], console: Console, *, agreed: bool = False) -> int:
    """Fetch what is not ready, with a bar; silent when all is. Raises `ModelMissing` with what to do instead.

    Asks for the licences that need it, once each; `agreed` answers yes. Raises `Forbidden` when they are not accepted.
    """
    specs = tuple(specs)
    wanted = [spec for spec in specs if store.state(spec) != "ready"]
    if not wanted:
        return _concluded(store, specs, console)
    accept_licences(store, wanted, console, agreed=agreed)
    console.print(f"Fetching {len(wanted)} model files into {store.root}, once.", highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("waiting for an answer", total=None)

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        for spec in wanted:
            store.fetch(spec, show)
    console.print("[green]ready[/]    every file has its pinned SHA-256")
    return _concluded(store, specs, console)


def import_files(store: Store, files: Iterable[Path], console: Console, *, agreed: bool = False) -> int:
    """Take files that were got elsewhere, by their hash, whatever their names; licences as with `fetch_models`."""
    for file in files:
        accept_licences(store, store.recognised(file), console, agreed=agreed)
        taken = store.import_file(file)
        for spec in taken:
            console.print(f"[green]ready[/]    {spec.name}", highlight=False)
        _concluded(store, taken, console)
    return 0


def accept_licences(store: Store, specs: Iterable[ModelSpec], console: Console, *, agreed: bool = False) -> None:
    """Ask for each licence that forbids commercial use, unless it was accepted before, and record the answer.

    Raises `Forbidden` "licence_not_accepted" when the answer is no, or when nobody is there to be asked.
    """
    asking: dict[str, list[ModelSpec]] = {}
    for spec in specs:
        if not (spec.commercial or store.licences.accepted(spec.licence)):
            asking.setdefault(spec.licence, []).append(spec)
    for licence, those in asking.items():
        for spec in those:
            console.print(f"{spec.name}: {licence}, not for commercial use. {spec.source}.", highlight=False)
        if not (agreed or _asked(licence, console)):
            sentence = (
                f"The licence {licence!r} was not accepted, so nothing was fetched or imported. Who has read it and "
                "accepts it says so when asked, or by --accept-licence."
            )
            raise Forbidden("licence_not_accepted", sentence)
        store.licences.accept(licence, tuple(spec.name for spec in those), datetime.now(UTC))


def _concluded(store: Store, specs: Sequence[ModelSpec], console: Console) -> int:
    """A checkpoint among what is there now is made into a graph; without torch it is said how."""
    if CODEFORMER in specs:
        enhancer_commands.convert_codeformer(store, console)
    return 0


def _asked(licence: str, console: Console) -> bool:
    question = f"Do you accept the licence '{licence}', and will you use these files only as it allows?"
    return console.is_terminal and Confirm.ask(question, console=console, default=False)


def _sources(settings: Config) -> dict[str, str]:
    """Addresses that the operator set. The InSwapper one is for the file that it names, else the half-precision one."""
    sources = {}
    if settings.inswapper_url:
        full = PurePosixPath(urlsplit(settings.inswapper_url).path).name == INSWAPPER_FP32.name
        sources[(INSWAPPER_FP32 if full else INSWAPPER_FP16).name] = settings.inswapper_url
    if settings.codeformer_url:
        sources[CODEFORMER.name] = settings.codeformer_url
    return sources


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
