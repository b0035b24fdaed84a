"""Reference voices that callers uploaded: measured profiles in memory, by an opaque name, for as long as they call.

`http_api.py` puts them here, `peer_socket.py` turns the name in `set_voice` into the profile.
"""

import secrets
from collections.abc import Collection

from mirage_rtc.errors import NotFound
from models.engines import VoiceProfile

KEPT_PER_SUBJECT = 4


class VoiceReferences:
    """The last few profiles of each subject; a fifth one replaces the oldest."""

    def __init__(self) -> None:
        """Empty."""
        self._profiles: dict[str, dict[str, VoiceProfile]] = {}

    def add(self, subject: str, profile: VoiceProfile) -> str:
        """Keep a profile; returns its name."""
        kept = self._profiles.setdefault(subject, {})
        if len(kept) >= KEPT_PER_SUBJECT:
            del kept[next(iter(kept))]
        name = f"clip:{secrets.token_urlsafe(9)}"
        kept[name] = profile
        return name

    def get(self, subject: str, name: str) -> VoiceProfile:
        """The profile of a name; raises NotFound `reference_not_found`."""
        profile = self._profiles.get(subject, {}).get(name)
        if profile is None:
            raise NotFound("reference_not_found", "This reference clip is no longer here. Upload it again.")
        return profile

    def name_of(self, subject: str, profile: VoiceProfile | None) -> str | None:
        """The name under which a profile in use was kept, or None."""
        kept = self._profiles.get(subject, {})
        return next((name for name, candidate in kept.items() if candidate is profile), None)

    def keep(self, subjects: Collection[str]) -> None:
        """Forget every subject not in `subjects`."""
        self._profiles = {subject: kept for subject, kept in self._profiles.items() if subject in subjects}
