"""Makes CodeFormer's graph when `models fetch` or `models import` brought its checkpoint. Called by `model_commands`.

Needs torch (the extra `convert`), here only; the server runs the graph and never sees the checkpoint, but where torch
runs CodeFormer on a GPU (`models.codeformer_torch`).
"""

import importlib.util

from rich.console import Console

from mirage_rtc.errors import BadInput
from models import codeformer_store
from models.neural_face_catalog import CODEFORMER
from models.runtime import NetworkError
from models.store import ModelMissing, Store
from models.voice_refusal import VoiceRefused

WITHOUT_TORCH = (
    "CodeFormer is stored as a checkpoint; its graph needs torch: run `pip install '.[convert]'` in the clone, then "
    "`mirage-rtc models fetch codeformer.pth` again."
)


def convert_codeformer(store: Store, console: Console) -> bool:
    """Make the graph unless it is there; says so, and returns whether it is. Raises `BadInput` for a file that is none.

    Without torch it says what to install, and the checkpoint stays where it is.
    """
    if _is_ready(store):
        return True
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("onnx") is None:
        console.print(WITHOUT_TORCH, highlight=False, markup=False)
        return False
    # Only here: everything else of the product runs without torch.
    from mirage_rtc.voice_commands import run_graph
    from models.convert import enhancer_import

    folders = codeformer_store.converted(store.root)
    try:
        if codeformer_store.NAME in folders.names():  # damaged, or it would be ready
            folders.remove(codeformer_store.NAME)
        with console.status(f"Converting {CODEFORMER.name}") as status:
            apart = enhancer_import.import_codeformer(
                store.path(CODEFORMER),
                folders=folders,
                run=run_graph,
                progress=lambda what: status.update(f"Converting {CODEFORMER.name}: {what}"),
            )
    except (NetworkError, VoiceRefused) as refused:
        raise BadInput("enhancer_unusable", refused.sentence) from None
    console.print(f"[green]ready[/]    CodeFormer's graph, {apart:.1e} from torch", highlight=False)
    return True


def _is_ready(store: Store) -> bool:
    try:
        codeformer_store.codeformer_graph(store.root)
    except ModelMissing:
        return False
    return True
