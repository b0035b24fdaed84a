"""What the HTTP side answers with is written as it was when the page was built against it."""

import msgspec

from signaling import http_answers


def test_a_refusal_is_written_with_these_names() -> None:
    """Pages of older versions read them."""
    problem = http_answers.Problem(code="at_capacity", sentence="Try again.", retryable=True)
    assert msgspec.json.encode(problem) == b'{"code":"at_capacity","sentence":"Try again.","retryable":true}'


def test_an_admission_is_written_with_these_names() -> None:
    """The page keeps them over a reload."""
    admission = http_answers.Admission(session_id="s", resume_token="r", resume_grace_s=60.0, signal_url="/v1/signal")
    names = {"session_id", "resume_token", "resume_grace_s", "signal_url"}
    assert set(msgspec.to_builtins(admission)) == names
