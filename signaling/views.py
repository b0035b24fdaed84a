"""Copies the values of calls, vault and limits onto the wire's structs. Used by `peer_socket.py` and `http_api.py`."""

from typing import Any

from mirage_rtc import __version__
from mirage_rtc.identities import IdentityCard
from signaling import ice, mapping_message, protocol
from signaling.admission import Entry
from signaling.calls import Call
from signaling.limits import Limits
from signaling.services import Services


def call_state(call: Call, services: Services) -> protocol.CallState:
    """A session's state; an uploaded reference voice shows under its name."""
    return protocol.CallState(**_state_fields(call, services))


def state(call: Call, services: Services) -> protocol.State:
    """The same as a message, with the engines' states."""
    return protocol.State(engines=engines(services), **_state_fields(call, services))


def _state_fields(call: Call, services: Services) -> dict[str, Any]:
    now = call.state()
    fields = {name: getattr(now, name) for name in protocol.CallState.__struct_fields__ if name != "voice"}
    fields["mapping"] = mapping_message.from_call(now.mapping)
    voice = now.voice
    fields["voice"] = protocol.VoiceChoice(
        preset=voice.preset,
        pitch_semitones=voice.pitch_semitones,
        formant_ratio=voice.formant_ratio,
        breath=voice.breath,
        reference=services.references.name_of(call.subject, voice.reference),
        index_rate=voice.index_rate,
        protect=voice.protect,
        input_gain_db=voice.input_gain_db,
        gate_db=voice.gate_db,
        denoise=voice.denoise,
        auto_pitch=voice.auto_pitch,
    )
    return fields


def stats(call: Call) -> protocol.Stats:
    """A session's figures of the last second."""
    now = call.stats()
    return protocol.Stats(**{name: getattr(now, name) for name in protocol.Stats.__struct_fields__})


def engines(services: Services) -> protocol.Engines:
    """Which engines run, and how they are."""
    report = services.calls.engines()
    return protocol.Engines(**{name: getattr(report, name) for name in protocol.Engines.__struct_fields__})


def identity(card: IdentityCard) -> protocol.IdentityChoice:
    """One entry of the gallery."""
    return protocol.IdentityChoice(
        id=card.id, kind=card.kind, title=card.title, description=card.description, receipt_id=card.receipt_id
    )


def identities(subject: str, services: Services) -> tuple[protocol.IdentityChoice, ...]:
    """The gallery of one subject."""
    return tuple(identity(card) for card in services.vault.list(subject))


def voices(services: Services) -> tuple[protocol.VoicePreset, ...]:
    """The built-in voices, and the imported ones that can be worn now."""
    imported = services.calls.imported_voices().values()
    return services.voices + tuple(
        protocol.VoicePreset(name=voice.name, title=voice.title, description=voice.description, kind="imported")
        for voice in imported
    )


def limits(given: Limits) -> protocol.CallLimits:
    """The bounds that a client should know."""
    return protocol.CallLimits(
        sdp_bytes=given.sdp_bytes,
        message_bytes=given.message_bytes,
        candidates=given.candidates,
        messages_per_s=given.messages_per_s,
        bytes_per_s=given.bytes_per_s,
        picture_bytes=given.picture_bytes,
        picture_px=given.picture_px,
        upload_bytes=given.upload_bytes,
    )


def welcome(entry: Entry, services: Services) -> protocol.Welcome:
    """All that a page needs to draw itself and to dial."""
    call, config = entry.call, services.config
    servers = ice.servers(
        config.turn_urls,
        config.turn_secret,
        subject=call.subject,
        ttl_s=config.turn_ttl_s,
        now_s=services.clock_s(),
    )
    return protocol.Welcome(
        version=protocol.VERSION,
        session_id=call.id,
        resume_token=entry.resume_token,
        resume_grace_s=config.resume_grace_s,
        ice_servers=servers,
        identities=identities(call.subject, services),
        voices=voices(services),
        grants=protocol.Granted(
            passthrough=call.grants.passthrough,
            badge_off=call.grants.badge_off,
            enroll=call.grants.enroll,
            max_call_s=call.grants.max_call_s,
        ),
        state=call_state(call, services),
        engines=engines(services),
        limits=limits(services.limits),
        server_version=__version__,
    )
