"""A lane's other side for tests: an engine that only has a name, and a pipeline that does what a job says."""

import os
import time
from typing import Any

from models.engines import PortraitError


class NamedEngine:
    """An engine of which only the name is used, and `why` it was chosen."""

    def __init__(self, name: str = "named", why: str = "") -> None:
        self.name, self.why = name, why


class BrokenEngine:
    """An engine that cannot be loaded."""

    def __init__(self) -> None:
        raise FileNotFoundError("a model")


class ObeyingPipeline:
    """Jobs are tuples: ("echo", value), ("raise",), ("refuse",), ("exit",), ("hang", seconds), ("count",)."""

    def __init__(self, engine: NamedEngine) -> None:
        self._engine = engine
        self._done = 0

    def handle(self, job: Any) -> Any:
        """Do what the job says."""
        self._done += 1
        match job:
            case ("echo", value):
                return value
            case ("count",):
                return self._done
            case ("refuse",):
                raise PortraitError("portrait_no_face", "Choose a picture with a face.")
            case ("hang", seconds):
                time.sleep(seconds)
            case ("exit",):
                os._exit(3)
            case _:
                raise RuntimeError("text with personal data")
        return None
