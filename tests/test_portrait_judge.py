"""Portraits are judged as the engine in force would, with what that takes and no more."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mirage_rtc.__main__ as composition
from mirage_rtc.config import load
from mirage_rtc.errors import BadInput
from mirage_rtc.inference import Lane
from mirage_rtc.swap_pipeline import InspectPortrait
from models import portrait_judge
from models.catalog import EMBEDDED
from models.engines import Frame, IdentitySource, PortraitError
from models.neural_face_catalog import ARCFACE_R50, SCRFD_10G
from models.portrait_judge import PortraitJudge, open_portrait_judge
from models.store import ModelMissing
from tests.asset_frames import MODELS, picture, with_golden
from tests.model_store import model_store
from tests.neural_parts import small_engine

FILES = {"SCRFD_10G": (SCRFD_10G, "det_500m.onnx"), "ARCFACE_R50": (ARCFACE_R50, "w600k_mbf_deq_fp32.onnx")}
TWO = "grid_two_people.mp4"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a small detector and encoder under the pinned names, and no swapper."""
    for name, (spec, file) in FILES.items():
        target = tmp_path / spec.relative
        target.parent.mkdir(exist_ok=True)
        shutil.copy(MODELS / file, target)
        content = target.read_bytes()
        own = replace(spec, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), also=())
        monkeypatch.setattr(portrait_judge, name, own)
    return tmp_path


def verdict(judge: object, portrait: Frame, *more: Frame) -> str:
    """The code of a refusal, or "fine"."""
    source = IdentitySource(kind="portrait", name="", portrait=portrait, more=more)
    try:
        judge.prepare(source)  # type: ignore[attr-defined]
    except PortraitError as refused:
        return refused.code
    return "fine"


@with_golden
def test_the_neural_engine_s_portraits_are_judged_without_its_swapper(weights: Path) -> None:
    """Detector and encoder are all that is opened; the same codes, and the same embedding, as the engine's own."""
    judge, engine = open_portrait_judge("neural", str(weights), in_force="neural"), small_engine()
    assert isinstance(judge, PortraitJudge)
    blank, small = np.zeros((200, 200, 3), np.uint8), picture("astronaut.png")[::4, ::4].copy()
    man, woman = picture("grid_bbaf2n.mpg@5"), picture("grid_id2_vcd_swwp2s.mpg@5")
    cases: list[tuple[Frame, ...]] = [(blank,), (picture(TWO),), (small,), (man,), (man, woman), (man, man)]
    told = [verdict(judge, *case) for case in cases]
    assert told == [verdict(engine, *case) for case in cases]
    assert told[0] == "portrait_no_face"
    assert told[1] == "portrait_several_faces"
    assert told[3] == "fine"
    assert len(set(told)) >= 4
    source = IdentitySource(kind="portrait", name="", portrait=man)
    np.testing.assert_array_equal(judge.prepare(source).latent, engine.prepare(source).embedding)


def test_the_embedded_engine_judges_its_own(tmp_path: Path) -> None:
    """Whatever was chosen: what runs decides."""
    for spec in EMBEDDED:
        shutil.copy(model_store().path(spec), tmp_path / spec.name)
    judge = open_portrait_judge("auto", str(tmp_path), in_force="mesh")
    assert judge.name == "mesh"
    assert verdict(judge, np.zeros((200, 200, 3), np.uint8)) == "portrait_no_face"


def test_files_that_have_gone_are_missed(tmp_path: Path) -> None:
    """Somebody removed them while the server ran."""
    with pytest.raises(ModelMissing, match="det_10g"):
        open_portrait_judge("neural", str(tmp_path), in_force="neural")


async def test_the_server_s_own_lane_names_it(tmp_path: Path) -> None:
    """As configured, in a process of its own: an empty picture is refused with the engine's code."""
    (tmp_path / "models").symlink_to(model_store().root, target_is_directory=True)
    spec = composition._face(load(None, {"MIRAGE_DATA_DIR": str(tmp_path)}))
    lane = Lane("study", spec.for_study(in_force="mesh", nice=0))
    await lane.start()
    try:
        with pytest.raises(BadInput) as refused:
            await lane.run(InspectPortrait(portraits=(np.zeros((200, 200, 3), np.uint8),)), settling=True)
    finally:
        await lane.close()
    assert refused.value.code == "portrait_no_face"
