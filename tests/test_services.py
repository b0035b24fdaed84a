"""What is shared by handlers does not outlive the sessions it belongs to."""

from pathlib import Path

from models.engines import VoiceProfile
from tests.wire_server import wire_server


async def test_what_belongs_to_ended_sessions_is_swept(tmp_path: Path) -> None:
    """Tokens, reference voices and anomaly windows do not pile up; those of live sessions stay."""
    async with wire_server(tmp_path) as server:
        services = server.services
        async with server.greeted(await server.join("ada")), server.greeted(await server.join("bob")):
            ada, _ = server.calls.sessions.values()
            names = {subject: services.references.add(subject, VoiceProfile(values={})) for subject in ("ada", "bob")}
            await ada.close("time_over", "The call took as long as it may.")
            services.sweep()
            assert len(services.tickets) == len(services.windows) == 1
            assert services.references.get("bob", names["bob"])
            assert services.references._profiles.keys() == {"bob"}


async def test_a_window_is_the_sessions_not_the_sockets(tmp_path: Path) -> None:
    """Asked for twice it is the same one."""
    async with wire_server(tmp_path) as server:
        await server.join()
        (call,) = server.calls.sessions.values()
        assert server.services.window(call) is server.services.window(call)
