"""What a token allows its bearer. Read by sessions, carried by tokens (`signaling.auth`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """Rights of one bearer; the defaults are what an ordinary link carries."""

    passthrough: bool = False
    """May ask for the raw picture or the raw voice to be sent."""
    badge_off: bool = False
    """May hide the visible "AI" badge."""
    enroll: bool = True
    """May enrol a portrait."""
    max_call_s: int | None = None
    """Longest call in seconds; None is no limit."""
