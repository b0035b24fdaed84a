"""The documents are true: variables, commands, licences, the path of a frame, and no line that cannot be followed."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mirage_rtc.command_line import ACTIONS
from mirage_rtc.config import Config, load
from models.catalog import CATALOG, EMBEDDED
from tests.config_table import with_table

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LICENSES = (ROOT / "LICENSES.md").read_text(encoding="utf-8")
DOCUMENTS = ["README.md", "LICENSES.md", "turn/README.md", "docs/performance.md"]


def rows(section: str) -> dict[str, list[str]]:
    """The table of a section of LICENSES.md: first cell -> the others."""
    body = LICENSES.split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in body.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    return {first: others for first, *others in cells[2:]}


def dependencies() -> list[str]:
    """The names that pyproject.toml declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.split(r"[<>=!~ ]", line)[0] for line in project["dependencies"]]


def declared_licence(distribution: str) -> str:
    """What a package says of itself: SPDX expression, classifier, or its licence file's first line."""
    found = importlib.metadata.metadata(distribution)
    classifiers = [line for line in found.get_all("Classifier") or [] if line.startswith("License")]
    texts = [*(found.get_all("License-Expression") or []), *(found.get_all("License") or []), *classifiers]
    files = [file for file in importlib.metadata.files(distribution) or [] if "LICENSE" in file.name.upper()]
    return "\n".join([*texts, *(file.read_text()[:200] for file in files[:1])]).replace("Apache Software", "Apache-2.0")


def test_the_table_of_variables_is_the_configuration() -> None:
    """Run `python -m tests.config_table` after a field has changed."""
    assert with_table(README) == README


def test_every_variable_that_a_document_names_exists() -> None:
    """A renamed field leaves no trace in the documents."""
    known = {f"MIRAGE_{field.upper()}" for field in Config.__struct_fields__} | {"MIRAGE_"}
    for document in DOCUMENTS:
        assert set(re.findall(r"MIRAGE_[A-Z_]*", (ROOT / document).read_text(encoding="utf-8"))) - known == set()


def test_every_file_that_a_document_names_exists() -> None:
    """The path of a frame above all."""
    for document in DOCUMENTS:
        named = re.findall(r"`((?:mirage_rtc|models|signaling|tests|turn)/[\w./]+)`", (ROOT / document).read_text())
        assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_frame_is_followed_in_at_most_six_files() -> None:
    """The promise of the layout: six steps, each naming one file."""
    steps = re.findall(r"^(\d)\. `([\w/]+\.py)`", README.split("## Follow a frame")[1].split("## ")[0], re.MULTILINE)
    assert [number for number, _ in steps] == ["1", "2", "3", "4", "5", "6"]


def test_every_picture_and_link_inside_the_repository_exists() -> None:
    """Screenshots are committed with the page that shows them."""
    for document in DOCUMENTS:
        folder = (ROOT / document).parent
        targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text(encoding="utf-8"))
        assert [target for target in targets if not (folder / target).exists()] == []


@pytest.mark.parametrize("mark", ["run", "test"])
def test_the_two_commands_are_one_line_each(mark: str) -> None:
    """They make their own environment and end in the server or in the tests."""
    block = README.split(f"<!-- the {mark} command -->\n```sh\n")[1].split("\n```")[0]
    assert "\n" not in block
    assert block.startswith("python3 -m venv .venv && .venv/bin/pip install")


def test_ci_runs_the_readme_s_test_command() -> None:
    """Read from the README, not repeated."""
    command = [sys.executable, ".ci/test_command.py"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() in README
    assert "pytest" in printed.stdout
    assert ".ci/test_command.py" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("action", ACTIONS)
def test_every_sub_command_is_in_the_readme(action: str) -> None:
    """`serve` is what `mirage-rtc` alone means."""
    assert action == "serve" or f"mirage-rtc {action}" in README


def test_every_dependency_has_its_licence_and_no_other_is_listed() -> None:
    """In the order of pyproject.toml."""
    assert list(rows("Packages (default installation)")) == dependencies()


@pytest.mark.parametrize("distribution", dependencies())
def test_the_licence_is_the_one_that_the_package_declares(distribution: str) -> None:
    """Each part of our SPDX expression occurs in the package's own words."""
    licence = rows("Packages (default installation)")[distribution][0]
    own = declared_licence(distribution)
    for part in re.split(r" AND | OR ", licence):
        assert part in own or part.split("-")[0] in own


@pytest.mark.parametrize("distribution", dependencies())
def test_no_dependency_is_under_the_gpl(distribution: str) -> None:
    """The default installation stays usable with an MIT product."""
    assert not re.search(r"\bA?GPL|GNU (Affero )?General Public", declared_licence(distribution))


def test_every_model_has_its_licence() -> None:
    """Licence and commercial use as in the catalogue, name by name."""
    embedded, neural = rows("Models (embedded engines)"), rows("Models (neural engines)")
    assert list(embedded) == [spec.name for spec in EMBEDDED]
    assert [*embedded, *neural] == [spec.name for spec in CATALOG]
    for spec in CATALOG:
        assert (embedded | neural)[spec.name][:2] == [spec.licence, "yes" if spec.commercial else "no"]
    for name, cells in neural.items():
        assert cells[2] == next(spec.source for spec in CATALOG if spec.name == name)


def test_data_files_in_the_packages_have_their_licence() -> None:
    """Anything beside Python source in the packages came from somewhere."""
    listed = set(rows("Data in the source"))
    found = [path for package in ("mirage_rtc", "models", "signaling") for path in (ROOT / package).rglob("*")]
    files = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT)) for path in files if path.suffix != ".py"} == listed


def test_the_turn_configuration_explains_every_option() -> None:
    """Every group of lines begins with a comment; the protections are on; no option is set twice but for addresses."""
    text = (ROOT / "turn" / "turnserver.conf").read_text(encoding="utf-8")
    assert [group for group in text.strip().split("\n\n") if not group.startswith("# ")] == []
    options = [line.split("=")[0] for line in text.splitlines() if line and not line.startswith("#")]
    for wanted in ("use-auth-secret", "no-cli", "no-multicast-peers", "no-tcp-relay", "fingerprint", "user-quota"):
        assert wanted in options
    once = [option for option in options if option not in {"denied-peer-ip", "allowed-peer-ip"}]
    assert len(once) == len(set(once))


def test_the_names_of_the_documents_are_settable() -> None:
    """The lines that turn/README.md tells an operator to set make a configuration."""
    text = (ROOT / "turn" / "README.md").read_text(encoding="utf-8")
    urls = re.search(r"MIRAGE_TURN_URLS=(\S+)", text)
    assert urls is not None
    config = load(None, {"MIRAGE_TURN_URLS": urls[1], "MIRAGE_TURN_SECRET": "s" * 64})
    assert len(config.turn_urls) == 2
