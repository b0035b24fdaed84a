"""`mirage-rtc models list | fetch | verify`, and the fetch that `serve` makes before it listens.

Called by `mirage_rtc.__main__`. The store does the work; here it gets words, a table and a progress bar.
"""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mirage_rtc.errors import NotFound
from models.catalog import CATALOG, ModelSpec
from models.store import Store

STATE_COLOURS = {"ready": "green", "missing": "yellow", "corrupt": "red"}


def chosen(names: Sequence[str]) -> tuple[ModelSpec, ...]:
    """The catalogue's entries of those names, or all of it. Raises `NotFound` "model_unknown"."""
    known = {spec.name: spec for spec in CATALOG}
    for name in names:
        if name not in known:
            raise NotFound("model_unknown", f"There is no model {name}: the catalogue has {', '.join(known)}.")
    return tuple(known[name] for name in names) or CATALOG


def list_models(store: Store, specs: Iterable[ModelSpec], console: Console) -> int:
    """Print name, use, size, licence and state; returns exit code 0."""
    table = Table(
        "Model", "What it is", "Size", "Licence", "State", title=f"Models in {store.root}", title_justify="left"
    )
    for spec in specs:
        state = store.state(spec)
        licence = spec.licence if spec.commercial else f"{spec.licence}, non-commercial"
        colour = STATE_COLOURS[state]
        table.add_row(spec.name, spec.role, _megabytes(spec.bytes), licence, f"[{colour}]{state}[/]")
    console.print(table)
    return 0


def verify_models(store: Store, specs: Iterable[ModelSpec], console: Console) -> int:
    """Read every file again; exit code 1 when one is not what the catalogue pins."""
    states = {spec.name: store.state(spec) for spec in specs}
    for name, state in states.items():
        console.print(f"[{STATE_COLOURS[state]}]{state:<8}[/] {name}", highlight=False)
    if set(states.values()) <= {"ready"}:
        return 0
    console.print("`mirage-rtc models fetch` gets what is missing or corrupt.")
    return 1


def fetch_models(store: Store, specs: Iterable[ModelSpec], console: Console) -> int:
    """Fetch what is not ready, with a bar; silent when all is. Raises `ModelMissing` with what to do instead."""
    wanted = [spec for spec in specs if store.state(spec) != "ready"]
    if not wanted:
        return 0
    console.print(f"Fetching {len(wanted)} model files into {store.root}, once.", highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("waiting for pip", total=None)

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        for spec in wanted:
            store.fetch(spec, show)
    console.print("[green]ready[/]    every file has its pinned SHA-256")
    return 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
