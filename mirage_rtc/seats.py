"""A call's seat in the face lane: opens its state there, and opens it again after the lane's worker was replaced.

`video_path` holds one; `voice_seat` is its like for the voice. What a call is to wear is remembered here, on the
server's side, so that a new worker starts with it.
"""

import contextlib
from dataclasses import replace

from mirage_rtc.badge import I420
from mirage_rtc.inference import EngineFailed, Lane, LaneDown
from mirage_rtc.swap_pipeline import CloseFace, EnhanceFace, OpenFace, SwapFrame, SwappedFrame, WearFace
from models.engines import EnhancerWish, FaceMapping, IdentitySource

_Look = tuple[IdentitySource | None, FaceMapping | None]

PATIENCE_S = 2 / 30
"""A frame may wait so long unless its path says otherwise: two frames' time."""


class FaceSeat:
    """One call in the face lane. `swap` is called by one task only."""

    def __init__(self, lane: Lane, *, call_id: str, max_faces: int) -> None:
        self._lane = lane
        self._call_id = call_id
        self._max_faces = max_faces
        self._wanted: _Look = (None, None)
        self._worn: _Look = (None, None)
        self._enhancement = self._enhanced = EnhancerWish()
        self._epoch = 0

    def wear(self, identity: IdentitySource | None, mapping: FaceMapping | None = None) -> None:
        """Wear `identity`, or as `mapping` says whom, from the next swap on."""
        self._wanted = (identity, mapping)

    def enhance(self, wish: EnhancerWish) -> None:
        """Enhance as wished from the next swap on."""
        self._enhancement = wish

    async def swap(self, i420: I420, time_s: float, *, patience_s: float = PATIENCE_S) -> SwappedFrame:
        """Swap one picture; it is worthless when it has waited for the lane for `patience_s`.

        Raises Late then, or LaneDown, EngineFailed or BadInput.
        """
        await self._settle()
        job = SwapFrame(call_id=self._call_id, i420=i420, time_s=time_s)
        served = await self._lane.run_frame(job, call_id=self._call_id, patience_s=patience_s)
        swapped: SwappedFrame = served.value
        return replace(swapped, waited_ms=served.waited_ms, batch=served.batch)

    async def close(self) -> None:
        """Give the seat up."""
        with contextlib.suppress(LaneDown, EngineFailed):
            await self._lane.run(CloseFace(call_id=self._call_id), call_id=self._call_id)

    async def _settle(self) -> None:
        """Bring the worker's state up to what is wanted."""
        wanted, wish, epoch = self._wanted, self._enhancement, self._lane.epoch
        identity, mapping = wanted
        if self._epoch != epoch:
            opening = OpenFace(call_id=self._call_id, max_faces=self._max_faces, identity=identity, mapping=mapping)
            await self._lane.run(opening, settling=True, call_id=self._call_id)
            self._enhanced = EnhancerWish()  # what a new worker begins with
        elif self._worn is not wanted:
            wearing = WearFace(call_id=self._call_id, identity=identity, mapping=mapping)
            await self._lane.run(wearing, settling=True, call_id=self._call_id)
        self._epoch, self._worn = epoch, wanted
        if self._enhanced != wish:
            await self._lane.run(EnhanceFace(call_id=self._call_id, wish=wish), call_id=self._call_id)
        self._enhanced = wish
