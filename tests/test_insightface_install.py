"""The README's way to put InsightFace beside Mirage, done for real: the headless OpenCV and the runtime stay theirs."""

import json
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.asset_frames import ASSETS

README = Path(__file__).resolve().parent.parent / "README.md"
MODELS = ("det_500m.onnx", "w600k_mbf_deq_fp32.onnx")
RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
LOOK = f"""
import importlib.metadata, json, sys
import cv2, onnxruntime
from insightface.app import FaceAnalysis
runtimes = [d.version for name in {RUNTIMES} for d in importlib.metadata.distributions(name=name)]
found = dict(gui=[line.split()[-1] for line in cv2.getBuildInformation().splitlines() if "GUI:" in line],
             runtimes=runtimes, providers=onnxruntime.get_available_providers(), faces=None)
if len(sys.argv) > 1:
    app = FaceAnalysis(name="small", root=sys.argv[1], allowed_modules=["detection", "recognition"],
                       providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(320, 320))
    faces = app.get(cv2.imread(sys.argv[2]))
    found["faces"] = [[*map(float, face.bbox), float((face.normed_embedding ** 2).sum())] for face in faces]
print(json.dumps(found))
"""


def commands() -> list[list[str]]:
    """The README's lines, in words."""
    block = README.read_text(encoding="utf-8").split("<!-- the insightface commands -->\n```sh\n")[1]
    return [shlex.split(line) for line in block.split("\n```")[0].splitlines()]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment over this one in which the commands were run; this one is not touched."""
    folder = tmp_path_factory.mktemp("beside") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    found = folder / "bin" / "python"
    site = next((folder / "lib").glob("python*")) / "site-packages"
    (site / "this_environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
    quick = {**os.environ, "PIP_RETRIES": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for command in commands():
        assert command[:2] == ["pip", "install"]
        asked = [str(found), "-m", *command]
        pip = subprocess.run(asked, capture_output=True, text=True, timeout=300, check=False, env=quick)
        if pip.returncode and ("Retrying" in pip.stderr or "Retrying" in pip.stdout):
            pytest.skip("no package index can be reached")
        assert pip.returncode == 0, pip.stderr
    return found


def look(python: Path, *arguments: str) -> dict[str, list[object]]:
    """What a new process sees there."""
    ran = subprocess.run(
        [str(python), "-W", "ignore", "-c", LOOK, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, list[object]] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_opencv_stays_headless_and_the_runtime_is_the_one_that_was_there(python: Path) -> None:
    """One distribution of each; on a GPU machine its CUDA provider is still listed."""
    import onnxruntime

    found = look(python)
    assert found["gui"] == ["NONE"]
    assert found["runtimes"] == [onnxruntime.__version__]
    assert found["providers"] == onnxruntime.get_available_providers()
    own = next((python.parent.parent / "lib").glob("python*")) / "site-packages"
    assert (own / "insightface").is_dir()
    assert [path.name for name in ("cv2", "onnxruntime", "numpy") for path in own.glob(f"{name}*")] == []


@pytest.mark.skipif(not (ASSETS / "models" / MODELS[0]).exists(), reason="needs ../shared/assets")
def test_its_face_analysis_finds_and_recognises(python: Path, tmp_path: Path) -> None:
    """With two small networks in its own folder layout, on a photograph of one person."""
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    for name in MODELS:
        (folder / name).symlink_to(ASSETS / "models" / name)
    (face,) = look(python, str(tmp_path), str(ASSETS / "media" / "astronaut.png"))["faces"]
    assert face == pytest.approx([179, 62, 270, 178, 1], abs=2)
