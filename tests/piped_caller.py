"""A caller in a process of its own, to be killed: offers on stdout, takes the answer on stdin, calls until it dies.

It says what it saw and heard each time another ten pictures came.

`python -m tests.piped_caller`; lines of JSON. Started by `test_dead_peer`.
"""

import asyncio
import json
import sys

from aiortc import RTCSessionDescription

from tests.call_client import Caller, ToneMicrophone
from tests.peers import only_loopback


def _say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def main() -> None:
    """One call without an end."""
    caller = Caller()
    caller.connection.addTrack(caller.camera)
    caller.connection.addTrack(ToneMicrophone())
    await caller.connection.setLocalDescription(await caller.connection.createOffer())
    _say(offer=caller.connection.localDescription.sdp)
    answer = json.loads(await asyncio.to_thread(sys.stdin.readline))["answer"]
    await caller.connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    await caller.until(lambda: len(caller.peaks) > 25)
    while True:
        seen = len(caller.shades)
        await caller.until(lambda seen=seen: len(caller.shades) > seen + 10)
        _say(shades=caller.shades, peaks=caller.peaks)


if __name__ == "__main__":
    with only_loopback():
        asyncio.run(main())
