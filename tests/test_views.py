"""What is copied onto the wire is what the call, the vault and the limits say."""

from pathlib import Path

from models.engines import VoiceProfile, VoiceSettings
from signaling import views
from signaling.limits import Limits
from tests.wire_server import wire_server


async def test_a_reference_voice_shows_under_its_name_and_never_as_what_was_measured(tmp_path: Path) -> None:
    """The profile of a voice is personal; a profile without a name shows as none."""
    async with wire_server(tmp_path) as server:
        await server.join()
        (call,) = server.calls.sessions.values()
        profile = VoiceProfile(values={"f0_hz": 120.0})
        await call.set_voice(VoiceSettings(preset="custom", pitch_semitones=2.0, reference=profile))
        assert views.call_state(call, server.services).voice.reference is None
        name = server.services.references.add("ada", profile)
        voice = views.state(call, server.services).voice
        assert (voice.reference, voice.preset, voice.pitch_semitones) == (name, "custom", 2.0)


async def test_figures_and_engines_are_copied_field_by_field(tmp_path: Path) -> None:
    """Names on the wire are the names of the session's own values."""
    async with wire_server(tmp_path) as server:
        await server.join()
        (call,) = server.calls.sessions.values()
        assert (views.stats(call).fps_in, views.stats(call).swapped) == (30.0, 7)
        server.calls.ready = False
        assert views.engines(server.services).face_state == "starting"


def test_a_client_is_told_the_limits_it_is_held_to() -> None:
    """Those of this server, not the defaults."""
    told = views.limits(Limits(sdp_bytes=1, picture_px=2, upload_bytes=3))
    assert (told.sdp_bytes, told.picture_px, told.upload_bytes) == (1, 2, 3)
