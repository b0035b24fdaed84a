"""The call over a network that loses packets: `python -m tests.bench.loss_bench [seconds] [vp8 | h264]`, from the root.

A new server in its own process, and one call with face and voice passed through, for each kind of loss; it befalls RTP
and RTCP both ways. Prints the age of what comes back, the longest time without a new picture, how much sound the
caller's side made up, and by how much the sound of the last ten seconds is older than that of the first (a ratchet).
A row counts when its ticker, late by no more than 5 ms at the 95th percentile, says that the machine had time.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from tests.browser import running_server
from tests.lossy_link import LoseNext, LossyLink, RandomLoss
from tests.peers import only_loopback, signalled_call
from tests.stamped_client import Codec, StampedClient, Timed, amounts, percentile

RAW = {"type": "set_passthrough", "face": True, "voice": True}
LOSSES = ((0.0, 1), (0.01, 1), (0.03, 1), (0.05, 1), (0.02, 5))
"""(share, burst)."""
OPUS_PAYLOAD_TYPE = 96
SETTLE_S = 3.0
ENDS_S = 10.0
HEAD = "loss     lost up/down   video p50   p95   gap    fps   audio p50   p95   max   ratchet  made up  ticker p95"
Direction = Literal["outgoing", "incoming"]


@asynccontextmanager
async def call(codec: Codec) -> AsyncIterator[tuple[StampedClient, LossyLink]]:
    """A settled call, and its network."""
    with tempfile.TemporaryDirectory() as folder, only_loopback():
        async with (
            running_server(Path(folder) / "data", "--passthrough") as server,
            signalled_call(server.url, server.token, StampedClient(codec=codec), RAW) as placed,
        ):
            await placed.peer.until_returned()
            await asyncio.sleep(SETTLE_S)
            yield placed.peer, LossyLink(placed.peer.connection)


def ratchet_ms(ages: Timed, from_s: float, to_s: float) -> float:
    """Median of the last ten seconds less median of the first ten; of halves, when the time is short."""
    ends_s = min(ENDS_S, (to_s - from_s) / 2)
    first = [age_ms for at_s, age_ms in ages if at_s <= from_s + ends_s]
    last = [age_ms for at_s, age_ms in ages if at_s >= to_s - ends_s]
    return percentile(last, 50) - percentile(first, 50)


async def lossy_row(codec: Codec, share: float, burst: int, seconds: float) -> str:
    """One call, as a row of the table."""
    async with call(codec) as (client, link):
        up = RandomLoss(share, burst=burst, seed=1)
        down = RandomLoss(share, burst=burst, seed=2)
        link.outgoing, link.incoming = up, down
        from_s = time.monotonic()
        await asyncio.sleep(seconds)
        to_s = time.monotonic()
    figures = client.figures(from_s, to_s)
    video, audio = amounts(figures.video_ms), amounts(figures.audio_ms)
    return (
        f"{share:4.0%} x{burst}  {up.lost:5}/{down.lost:<6}   {percentile(video, 50):9.1f} {percentile(video, 95):5.0f}"
        f" {figures.longest_gap_ms:5.0f} {figures.fps:6.1f}   {percentile(audio, 50):9.1f} {percentile(audio, 95):5.0f}"
        f" {percentile(audio, 100):5.0f} {ratchet_ms(figures.audio_ms, from_s, to_s):9.1f}"
        f" {client.receivers['audio'].concealed_ms:8.0f} {figures.ticker_p95_ms:11.1f}"
    )


async def one_packet_row(codec: Codec, direction: Direction) -> str:
    """How old the sound was before one packet was lost, and is from a second later on."""
    async with call(codec) as (client, link):
        loses = LoseNext(OPUS_PAYLOAD_TYPE)
        setattr(link, direction, loses)
        times = [time.monotonic()]
        await asyncio.sleep(5.0)
        times.append(time.monotonic())
        loses.left = 1
        await asyncio.sleep(6.0)
        times.append(time.monotonic())
    before = client.figures(times[0], times[1])
    after = client.figures(times[1] + 1.0, times[2])
    medians = [percentile(amounts(figures.audio_ms), 50) for figures in (before, after)]
    tickers = [figures.ticker_p95_ms for figures in (before, after)]
    return (
        f"one packet of sound, {direction}: {medians[0]:.1f} ms before, {medians[1]:.1f} ms a second later"
        f" ({medians[1] - medians[0]:+.1f}); ticker p95 {max(tickers):.1f} ms"
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(seconds: float = 60.0, codec: Codec = "vp8") -> None:
    """Place the calls and print what was measured."""
    _say(await one_packet_row(codec, "outgoing"))
    _say(await one_packet_row(codec, "incoming"))
    _say(f"{seconds:.0f} s each, {codec}; all but loss, fps and the counts of packets in ms\n{HEAD}")
    for share, burst in LOSSES:
        _say(await lossy_row(codec, share, burst, seconds))


if __name__ == "__main__":
    chosen: Codec = "h264" if "h264" in sys.argv else "vp8"
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0, chosen))
