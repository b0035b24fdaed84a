"""Every error a caller can be told of, each with its wire code and a sentence that says what to do.

MirageError
 +-- ConfigError            the configuration is refused; the process does not start
 +-- Unauthorized           token missing, wrong, expired, used, for someone else
 +-- Forbidden              the token does not grant this
 +-- BadInput               bytes or values that cannot be used
 +-- TooLarge               more bytes or pixels than allowed
 +-- TooMany                a rate, a quota or the capacity is exhausted
 +-- NotFound               no such session, identity or voice
 +-- Unavailable            an engine or the network cannot serve now; try again
"""


class MirageError(Exception):
    """The root. `code` goes on the wire and never changes meaning; `sentence` is for a person."""

    retryable = False

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class ConfigError(MirageError):
    """The configuration is refused."""


class Unauthorized(MirageError):
    """The caller has not shown who they are."""


class Forbidden(MirageError):
    """The caller is known and may not do this."""


class BadInput(MirageError):
    """Bytes or values that cannot be used."""


class TooLarge(MirageError):
    """More bytes or pixels than allowed."""


class TooMany(MirageError):
    """A rate, a quota or the capacity is exhausted."""

    retryable = True


class NotFound(MirageError):
    """No such session, identity or voice."""


class Unavailable(MirageError):
    """An engine or the network cannot serve now."""

    retryable = True
