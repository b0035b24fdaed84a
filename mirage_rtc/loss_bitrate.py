"""The bitrate of an outgoing picture, by the loss that the peer reports (draft-ietf-rmcat-gcc-02 §6).

More than 10 % lost lowers the rate by half the loss, less than 2 % raises it by 5 % a report. The peer's own estimate
(REMB) is not used: without abs-send-time a browser estimates from RTP timestamps, takes the time that a picture waited
for its voice for congestion, and asks for the minimum on a perfect network. Asked by `aiortc_private.sender`.
"""

LOSS_HIGH, LOSS_LOW = 0.10, 0.02
INCREASE = 1.05
MIN_BPS = 150_000


class LossBitrate:
    """One sender's target, in bits per second."""

    def __init__(self, *, start_bps: int, max_bps: int) -> None:
        self._max_bps = max_bps
        self.target_bps = min(start_bps, max_bps)

    def report(self, fraction_lost: float) -> int:
        """Take one receiver report (`fraction_lost` in 0..1, RFC 3550 §6.4.1); the new target."""
        target_bps = float(self.target_bps)
        if fraction_lost > LOSS_HIGH:
            target_bps *= 1 - 0.5 * fraction_lost
        elif fraction_lost < LOSS_LOW:
            target_bps *= INCREASE
        self.target_bps = round(min(self._max_bps, max(MIN_BPS, target_bps)))  # a lower maximum wins
        return self.target_bps
