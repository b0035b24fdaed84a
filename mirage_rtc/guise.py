"""What one person has asked to look and sound like, and what of it is granted and there to be had. Held by `session`.

It keeps the ids that the person named and, resolved against the vault, the `Wishes` that the leg in use follows. It
only ever loses by itself: an identity that is removed, or a passthrough that is withdrawn, leaves people covered.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mirage_rtc import enhancer_wishes, face_mapping
from mirage_rtc.errors import BadInput, Forbidden, MirageError, NotFound
from mirage_rtc.face_mapping import CallMapping
from mirage_rtc.grants import Grants
from mirage_rtc.identities import IdentityVault
from mirage_rtc.inference import Lane
from mirage_rtc.leg import Wishes
from models import rvc_voice_engine, voice_presets
from models.engines import EnhancerWish, IdentitySource, VoiceSettings
from models.imported_voices import ImportedVoice, is_imported

OnChange = Callable[[str, dict[str, Any]], None]
"""Told the name and the fields of the audit event once the wishes are others; random ids only."""


class Guise:
    """One call's. Whatever it refuses leaves everything as it was."""

    def __init__(
        self,
        subject: str,
        grants: Grants,
        *,
        vault: IdentityVault,
        face_lane: Lane,
        imported_voices: Callable[[], Mapping[str, ImportedVoice]],
        enhancer: EnhancerWish,
        on_change: OnChange,
    ) -> None:
        self.identity = vault.default_id
        self.mapping = CallMapping()
        self._subject = subject
        self._grants = grants
        self._vault = vault
        self._lane = face_lane
        self._imported_voices = imported_voices
        self._on_change = on_change
        self._blind = False
        self._wishes = Wishes(identity=self._source(), voice=VoiceSettings(), enhancer=enhancer)

    @property
    def wishes(self) -> Wishes:
        """What a leg follows."""
        return self._wishes

    def renewed(self) -> Wishes:
        """The same for a new leg: the default mask where the portrait was removed meanwhile."""
        self._wishes = replace(self._wishes, identity=self._source())
        return self._wishes

    def wear(self, identity_id: str) -> None:
        """Change the face. Raises NotFound "identity_not_found"."""
        source = self._source_of(identity_id)
        self.identity = identity_id
        self._wish("identity", {"identity_id": identity_id}, identity=source)

    def set_mapping(self, mapping: CallMapping) -> None:
        """Say who of several people wears what. Raises what `face_mapping` does."""
        face_mapping.require_allowed(
            mapping,
            recognises=self._lane.recognises,
            granted=self._grants.passthrough,
        )
        if mapping.is_plain and not self.mapping.is_plain and self._wishes.passthrough_face:
            self.set_passthrough(face=False, voice=self._wishes.passthrough_voice)  # it was asked for others only
        self._map(mapping)

    def set_voice(self, settings: VoiceSettings) -> None:
        """Change the voice. Raises BadInput "voice_unknown", "voice_too_close" or "voice_control"."""
        if is_imported(settings):
            return self._wear_voice(settings)
        if settings.preset not in {preset.name for preset in voice_presets.PRESETS}:
            raise _unknown_voice()
        try:
            voice_presets.check(settings)
        except ValueError as too_close:
            raise BadInput("voice_too_close", str(too_close)) from None
        return self._wish("voice", {"preset": settings.preset}, voice=settings, fallback_voice=settings)

    def set_passthrough(self, *, face: bool, voice: bool) -> None:
        """Send the raw picture or voice, or stop it. Raises Forbidden "passthrough_not_granted".

        With a mapping the picture never is raw as a whole: the others are, where the mapping leaves them as they are.
        """
        if (face or voice) and not self._grants.passthrough:
            raise Forbidden("passthrough_not_granted", "This link does not allow your own face or voice to be sent.")
        if self._wishes.passthrough_face and not face:
            self.mapping = face_mapping.covered(self.mapping)
        mapping = face_mapping.followed(self._wishes.mapping, self.mapping.others, passing=face)
        fields = {"face": face, "voice": voice}
        self._wish("passthrough", fields, passthrough_face=face, passthrough_voice=voice, mapping=mapping)

    def set_muted(self, *, audio: bool, video: bool) -> None:
        """Send silence for the voice, the card for the picture."""
        self._wish("mute", {"voice": audio, "face": video}, muted_audio=audio, muted_video=video)

    def set_badge(self, visible: bool) -> None:
        """Show or hide the "AI" badge. Raises Forbidden "badge_not_granted"."""
        if not visible and not self._grants.badge_off:
            raise Forbidden("badge_not_granted", 'This link does not allow the "AI" badge to be hidden.')
        self._wish("badge", {"visible": visible}, badge=visible)

    def set_enhancer(self, wish: EnhancerWish) -> None:
        """Restore the swapped face, or stop it. Raises what `enhancer_wishes.require` does."""
        enhancer_wishes.require(wish, self._lane.engine_extras)
        self._wish("enhancer", {"mode": wish.mode, "model": wish.model or ""}, enhancer=wish)

    def lose_identity(self, identity_id: str) -> bool:
        """An identity was removed: nobody wears it or is recognised by it any more. Whether the mapping lost by it."""
        if self.identity == identity_id:
            self.identity = self._vault.default_id
            self._wish("identity", {"identity_id": self.identity}, identity=self._source())
        left = face_mapping.without(self.mapping, identity_id)
        shrunk = face_mapping.held(left, self._source_of)
        if shrunk == self.mapping:
            return False
        self._map(shrunk)
        return True

    def lose_voice(self, fallback: VoiceSettings) -> None:
        """An imported voice was given up by the leg, which speaks with `fallback` already."""
        if is_imported(self._wishes.voice):
            self._wishes = replace(self._wishes, voice=fallback)

    def turned_blind(self) -> bool:
        """Whether the face engine can no longer follow the mapping, once each time that this comes about."""
        was_blind = self._blind
        self._blind = self._lane.state == "ready" and not self._lane.recognises and not self.mapping.is_plain
        return self._blind and not was_blind

    def _wear_voice(self, settings: VoiceSettings) -> None:
        """Change to an imported voice, or move its controls."""
        voice = self._imported_voices().get(settings.preset)
        if voice is None:
            raise _unknown_voice()
        try:
            rvc_voice_engine.check(settings)
        except ValueError as impossible:
            raise BadInput("voice_control", str(impossible)) from None
        self._wish("voice", {"preset": "imported", "receipt_id": voice.receipt_id}, voice=settings)

    def _map(self, mapping: CallMapping) -> None:
        resolved = face_mapping.resolved(mapping, self._source_of)
        resolved = face_mapping.followed(resolved, mapping.others, passing=self._wishes.passthrough_face)
        self.mapping = mapping
        self._wish("mapping", face_mapping.audited(mapping), mapping=resolved)

    def _wish(self, event: str, fields: dict[str, Any], **changes: Any) -> None:
        self._wishes = replace(self._wishes, **changes)
        self._on_change(event, fields)

    def _source(self) -> IdentitySource:
        """What is worn; the default mask when the portrait was removed meanwhile."""
        try:
            return self._source_of(self.identity)
        except NotFound:
            self.identity = self._vault.default_id
            return self._source_of(self.identity)

    def _source_of(self, identity_id: str) -> IdentitySource:
        return self._vault.source(self._subject, identity_id)


def _unknown_voice() -> MirageError:
    return BadInput("voice_unknown", "There is no such voice: choose one of those the server listed.")
