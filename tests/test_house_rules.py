"""The rules of the house that a linter does not know: sizes, names, a test for every module, settings in one place."""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("mirage_rtc", "models", "signaling")
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "base"}
FILE_LINES_MAX = 400
FUNCTION_LINES_MEDIAN_MAX = 10
FUNCTION_LINES_P90_MAX = 34
FUNCTION_LINES_MAX = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """Every module of the three packages that holds code."""
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if path.name != "__init__.py"]


def sources() -> list[Path]:
    """Modules and tests."""
    return modules() + sorted((ROOT / "tests").rglob("*.py"))


def functions(path: Path) -> list[Function]:
    """Functions and methods, nested ones too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def lines(function: Function) -> int:
    """From `def` to the last line, without decorators."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def name(path: Path) -> str:
    """A path as it is shown when a rule is broken."""
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_400_lines() -> None:
    """Tests and the page's modules count too."""
    page = [path for kind in ("*.js", "*.css", "*.html") for path in (ROOT / "web").rglob(kind)]
    own = [path for path in page if "node_modules" not in path.parts]
    long = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources() + own}
    assert {path: count for path, count in long.items() if count > FILE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    """Median at most 10 lines, nine of ten at most 34, none over 50."""
    counts = {f"{name(path)}:{f.lineno} {f.name}": lines(f) for path in modules() for f in functions(path)}
    assert {place: count for place, count in counts.items() if count > FUNCTION_LINES_MAX} == {}
    assert statistics.median(counts.values()) <= FUNCTION_LINES_MEDIAN_MAX
    assert statistics.quantiles(counts.values(), n=10)[-1] <= FUNCTION_LINES_P90_MAX


def test_no_module_has_a_name_that_says_nothing() -> None:
    """A drawer without a label fills up with everything."""
    assert [name(path) for path in sources() if FORBIDDEN_NAMES & set(path.stem.strip("_").split("_"))] == []


def test_module_names_are_unique_over_the_packages() -> None:
    """So that tests/test_<module>.py means one module."""
    stems = [path.stem for path in modules()]
    assert sorted({stem for stem in stems if stems.count(stem) > 1}) == []


@pytest.mark.parametrize("path", modules(), ids=name)
def test_every_module_has_its_test_beside_it_by_name(path: Path) -> None:
    """mirage_rtc/clock.py is tested in tests/test_clock.py, flat."""
    assert (ROOT / "tests" / f"test_{path.stem.strip('_')}.py").is_file()


@pytest.mark.parametrize("path", modules(), ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    """The docstring's first paragraph: what it is and who calls it."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_only_the_configuration_reads_the_environment() -> None:
    """A variable that is read elsewhere is a setting nobody can find."""
    readers = [name(path) for path in modules() if "os.environ" in path.read_text() or "getenv" in path.read_text()]
    assert readers == ["mirage_rtc/config.py"]


def test_every_test_states_its_behaviour() -> None:
    """A test without a sentence proves something nobody can name."""
    silent = [
        f"{name(path)}: {function.name}"
        for path in sorted((ROOT / "tests").glob("test_*.py"))
        for function in functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def test_nothing_is_left_for_later() -> None:
    """No marker of unfinished work in what is shipped."""
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    assert [name(path) for path in sources() if any(mark in path.read_text(encoding="utf-8") for mark in marks)] == []
