"""A DTLS transport for tests of one sender or receiver: it only remembers what was sent."""


class Wire:
    """Stands where `RTCDtlsTransport` does."""

    state = "connected"
    _stats_id = "wire"

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def _send_rtp(self, data: bytes) -> None:
        self.sent.append(data)

    def _register_rtp_receiver(self, *_: object) -> None:
        """A receiver starts."""

    def _unregister_rtp_receiver(self, *_: object) -> None:
        """A receiver stops."""
