"""Where log lines go and what may be in them. Called once by `mirage_rtc.__main__`.

Libraries write addresses and SDP into their informational lines, so theirs are kept out at every level of ours.
"""

import logging
import sys

LIBRARIES = ("aioice", "aiortc", "aiohttp", "asyncio", "libav")
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(level: str) -> None:
    """Log to stderr from `level` up; libraries from warnings up, never with a caller's address."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    handler.addFilter(append_fields)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").disabled = True
    logging.getLogger("aiohttp.server").addFilter(without_arguments)


def append_fields(record: logging.LogRecord) -> bool:
    """Show a record's structured fields after its static message."""
    fields = {name: value for name, value in vars(record).items() if name not in _OWN_ATTRIBUTES}
    if fields:
        shown = " ".join(f"{name}={value}" for name, value in sorted(fields.items()))
        record.msg, record.args = f"{record.getMessage()}  {shown}", ()
    return True


def without_arguments(record: logging.LogRecord) -> bool:
    """Keep aiohttp's message and drop its arguments: "Error handling request from %s" is given the caller's address."""
    record.msg, record.args = str(record.msg).replace(" from %s", "").replace("%s", "-"), ()
    return True
