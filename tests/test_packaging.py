"""The wheel is the product: what is in it, that it serves its page, and that the three names are ours."""

import importlib.metadata
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import mirage_rtc

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("mirage_rtc", "models", "signaling")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    [built] = folder.glob("*.whl")
    return built


def members(wheel: Path) -> set[str]:
    """The names in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tracked(folder: str) -> set[str]:
    """Files below `folder` that are not build leftovers."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in found}


def test_the_wheel_holds_the_packages_whole(wheel: Path) -> None:
    """Every module and every data file beside them."""
    for name in NAMES:
        assert tracked(name) - members(wheel) == set()


def test_the_wheel_holds_the_page_and_nothing_of_its_tools(wheel: Path) -> None:
    """index.html, the style, every script; no node_modules, package.json or tests."""
    page = {name.removeprefix("signaling/web/") for name in members(wheel) if name.startswith("signaling/web/")}
    wanted = {name.removeprefix("web/") for name in tracked("web/src")} | {"index.html", "style.css"}
    assert page == wanted


def test_the_wheel_holds_no_weights_no_tests_and_no_other_package(wheel: Path) -> None:
    """Three top-level names, the metadata with both licence files, nothing else."""
    tops = {name.split("/")[0] for name in members(wheel)}
    assert tops == {*NAMES, f"mirage_rtc-{mirage_rtc.__version__}.dist-info"}
    assert not [name for name in members(wheel) if name.endswith((".onnx", ".tflite", ".pth", ".wav", ".mp4"))]
    assert {"LICENSE", "LICENSES.md"} <= {name.split("/")[-1] for name in members(wheel)}


def test_the_unpacked_wheel_finds_its_page_and_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """The page comes out of the wheel, not out of a checkout that happens to be near."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from mirage_rtc import __main__ as m\n"
        "from signaling.page import find\n"
        "print(find(m.PACKAGED_PAGE, '/index.html'))"
    )
    command = [sys.executable, "-P", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(tmp_path / "site" / "signaling" / "web" / "index.html")


@pytest.mark.parametrize("name", NAMES)
def test_no_other_installed_package_owns_our_names(name: str) -> None:
    """A second `models` in the environment would overwrite ours, file by file."""
    owners = importlib.metadata.packages_distributions().get(name, [])
    assert set(owners) <= {"mirage-rtc"}


def test_the_test_extra_pulls_in_no_torch() -> None:
    """A test run downloads megabytes, not gigabytes; torch is for converting checkpoints only, and pinned."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    with_torch = {extra for extra, lines in extras.items() if any(line.startswith("torch") for line in lines)}
    assert with_torch == {"convert"}
    assert "torch==2.13.0" in extras["convert"]


def test_no_file_carries_a_registry_s_address_or_a_lock() -> None:
    """Where packages come from is the reader's own setting."""
    texts = [ROOT / name for name in ("pyproject.toml", ".ci/run", ".ci/web", "README.md", "web/package.json")]
    words = ("pypi" + ".org", "python" + "hosted", "registry." + "npmjs", "index" + "-url", "deb." + "debian.org")
    assert [(path.name, word) for path in texts for word in words if word in path.read_text()] == []
    locks = {"uv.lock", "poetry.lock", "package-lock.json", "requirements.txt"}
    assert [path.name for path in (*ROOT.iterdir(), *(ROOT / "web").iterdir()) if path.name in locks] == []
