"""Holds the senders of a connection for a while, as upstream does for a direction switched off. By `rtc_leg`."""

from typing import Any

from aiortc import RTCPeerConnection


class Pause:
    """The senders that the negotiation switched on."""

    def __init__(self, connection: RTCPeerConnection) -> None:
        senders: list[Any] = connection.getSenders()
        self._senders = [sender for sender in senders if sender._enabled]
        self.on = False

    def set(self, on: bool) -> None:
        """While it is on, frames are dropped before encoding; afterwards a picture comes that needs no other."""
        if on == self.on:
            return
        self.on = on
        for sender in self._senders:
            sender._enabled = not on
            if not on:
                sender._send_keyframe()
