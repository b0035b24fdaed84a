"""The README's table of variables, made from `mirage_rtc.config`. `python -m tests.config_table` writes it."""

from pathlib import Path

from mirage_rtc.config import describe

README = Path(__file__).resolve().parent.parent / "README.md"
START = "<!-- config table: python -m tests.config_table -->"
END = "<!-- end of config table -->"


def table() -> str:
    """One Markdown row a field."""
    rows = [f"| `{name}` | {_code(default)} | {sentence} |" for name, default, sentence in describe()]
    return "\n".join(["| variable | default | |", "|---|---|---|", *rows])


def with_table(text: str) -> str:
    """`text` with everything between the two marks replaced by the table."""
    head, rest = text.split(START)
    tail = rest.split(END)[1]
    return f"{head}{START}\n{table()}\n{END}{tail}"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
