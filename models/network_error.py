"""What a network that cannot be had is: an error with a sentence, and what of an exception goes into the sentence."""

import re

SAID_MAX = 400
"""Characters of what a runtime says that go into a sentence."""
_PLACE = re.compile(r"/\S+\.(?:cc|cpp|cu|h):\d+ [^(]*\([^()]*\)(?: const)? (?:\S+ was false\. )?")
"""Where in ONNX Runtime's source something was said: a path, a signature of C++, and what was checked there."""


class NetworkError(RuntimeError):
    """A network cannot be loaded or gives nonsense; `sentence` says what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class SessionRefused(NetworkError):
    """ONNX Runtime makes no session of a file. `on_cpu`: since nodes of it would run on the CPU, against the leave."""

    def __init__(self, sentence: str, *, on_cpu: bool = False) -> None:
        super().__init__(sentence)
        self.on_cpu = on_cpu


def without_frames(error: NetworkError) -> NetworkError:
    """The error without the calls that led to it: while it is kept, they would keep a network on the GPU with it."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def first_line(error: Exception) -> str:
    """What an exception says, without the C++ that it came from; of what is too long for a sentence the end."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    said = _PLACE.sub("", line)
    return said if len(said) <= SAID_MAX else f"... {said[4 - SAID_MAX :]}"
