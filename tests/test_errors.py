"""The error tree."""

import inspect

from mirage_rtc import errors


def _classes() -> list[type[errors.MirageError]]:
    return [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.MirageError)]


def test_every_error_stands_in_the_drawn_tree() -> None:
    """The module's docstring names every class."""
    assert [c.__name__ for c in _classes() if c.__name__ not in (errors.__doc__ or "")] == []


def test_an_error_carries_its_code_and_sentence() -> None:
    """Code for machines, sentence for people; only capacity and outages are worth another try."""
    error = errors.TooMany("at_capacity", "Try later.")

    assert (error.code, error.sentence, str(error)) == ("at_capacity", "Try later.", "Try later.")
    assert {c.__name__ for c in _classes() if c.retryable} == {"TooMany", "Unavailable"}
