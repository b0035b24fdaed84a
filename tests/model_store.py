"""The model store that tests share: fetched once into `.cache/models` of the repository, then read from there."""

from functools import cache
from pathlib import Path

from models.catalog import EMBEDDED
from models.store import Store

ROOT = Path(__file__).resolve().parent.parent / ".cache" / "models"


@cache
def model_store() -> Store:
    """A store with every catalogued file ready; raises `ModelMissing` with a sentence where there is no network."""
    store = Store(ROOT, offline=False)
    for spec in EMBEDDED:
        store.fetch(spec, lambda *_: None)
    return store
