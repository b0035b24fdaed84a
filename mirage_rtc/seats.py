"""A call's seat in the face lane: opens its state there, and opens it again after the lane's worker was replaced.

`video_path` holds one; `voice_seat` is its like for the voice. What a call is to wear is remembered here, on the
server's side, so that a new worker starts with it.
"""

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from mirage_rtc.badge import I420
from mirage_rtc.errors import MirageError, Unavailable
from mirage_rtc.inference import EngineFailed, Lane, LaneDown
from mirage_rtc.swap_pipeline import (
    CloseFace,
    EnhanceFace,
    OpenFace,
    PrepareIdentity,
    SwapFrame,
    SwappedFrame,
    WearFace,
)
from models.engines import EnhancerWish, FaceMapping, IdentitySource

_Look = tuple[IdentitySource | None, FaceMapping | None]

PATIENCE_S = 2 / 30
"""A frame may wait so long unless its path says otherwise: two frames' time."""


RETRY_PICTURES = 50
"""So many pictures after an engine's fault its call is tried again, then after twice as many each time."""


@dataclass(slots=True, kw_only=True)
class _Unable:
    """What a worker could not make of what was wanted: it would take as long to fail again.

    A refused picture stays refused; an engine's fault may pass, so that it is tried again after a `pause` of pictures.
    """

    epoch: int
    wanted: _Look
    error: EngineFailed | MirageError
    pause: int = RETRY_PICTURES
    waited: int = 0

    def still(self, epoch: int, wanted: _Look) -> bool:
        """Whether it is not to be asked for again with this picture."""
        if self.epoch != epoch or self.wanted is not wanted:
            return False
        self.waited += 1
        return isinstance(self.error, MirageError) or self.waited <= self.pause


class FaceSeat:
    """One call in the face lane. `swap` is called by one task only."""

    def __init__(
        self,
        lane: Lane,
        *,
        call_id: str,
        max_faces: int,
        on_unable: Callable[[MirageError], None] = lambda _: None,
    ) -> None:
        """`on_unable` is told, once for each wish and worker, why what is to be worn cannot be."""
        self._lane = lane
        self._call_id = call_id
        self._max_faces = max_faces
        self._wanted: _Look = (None, None)
        self._worn: _Look = (None, None)
        self._enhancement = self._enhanced = EnhancerWish()
        self._epoch = 0
        self._on_unable = on_unable
        self._unable: _Unable | None = None
        self._prepared: set[str] = set()

    def wear(self, identity: IdentitySource | None, mapping: FaceMapping | None = None) -> None:
        """Wear `identity`, or as `mapping` says whom, from the next swap on."""
        self._wanted = (identity, mapping)

    def enhance(self, wish: EnhancerWish) -> None:
        """Enhance as wished from the next swap on."""
        self._enhancement = wish

    async def swap(self, i420: I420, time_s: float, *, patience_s: float = PATIENCE_S) -> SwappedFrame:
        """Swap one picture; it is worthless when it has waited for the lane for `patience_s`.

        Raises Late then, or LaneDown, EngineFailed or BadInput. What could not be worn is not asked for again until
        something else is wanted or the worker is another, or for a while if the engine failed; the same error is raised
        meanwhile.
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
        wanted, wish, epoch, unable = self._wanted, self._enhancement, self._lane.epoch, self._unable
        if unable is not None and unable.still(epoch, wanted):
            raise unable.error.with_traceback(None)
        try:
            await self._dress(epoch)
        except (EngineFailed, MirageError) as error:
            self._note(_Unable(epoch=epoch, wanted=wanted, error=error))
            raise
        self._unable = None
        if self._enhanced != wish:
            await self._lane.run(EnhanceFace(call_id=self._call_id, wish=wish), call_id=self._call_id)
        self._enhanced = wish

    async def _dress(self, epoch: int) -> None:
        if self._epoch != epoch:
            self._prepared.clear()
        if self._epoch != epoch or self._worn is not self._wanted:
            await self._prepare()
        wanted = identity, mapping = self._wanted
        if self._epoch != epoch:
            opening = OpenFace(call_id=self._call_id, max_faces=self._max_faces, identity=identity, mapping=mapping)
            await self._lane.run(opening, settling=True, call_id=self._call_id)
            self._enhanced = EnhancerWish()  # what a new worker begins with
        elif self._worn is not wanted:
            wearing = WearFace(call_id=self._call_id, identity=identity, mapping=mapping)
            await self._lane.run(wearing, settling=True, call_id=self._call_id)
        self._epoch, self._worn = epoch, wanted

    async def _prepare(self) -> None:
        """Have each portrait of each identity prepared by itself, so that other calls' frames go in between."""
        begun = ""
        while (source := _next(self._wanted, self._prepared)) is not None and self._lane.recognises:
            rest = replace(source, portrait=None, more=()) if source.name == begun else source
            left = await self._lane.run(PrepareIdentity(identity=rest), settling=True, call_id=self._call_id)
            begun = source.name if left == "more" else ""
            if left is None:
                self._prepared.add(source.name)

    def _note(self, now: _Unable) -> None:
        """Remember what failed; the person is told the first time, if it is what is wanted still."""
        before, self._unable = self._unable, now
        if before is not None and before.epoch == now.epoch and before.wanted is now.wanted:
            now.pause = 2 * before.pause
        elif now.wanted is self._wanted:
            self._on_unable(now.error if isinstance(now.error, MirageError) else _engine_unable())


def _next(look: _Look, prepared: Collection[str]) -> IdentitySource | None:
    """The first identity that this call had not prepared; the only one of one portrait is one job anyway."""
    identity, mapping = look
    faces = () if mapping is None else mapping.faces
    if not faces and (identity is None or not identity.more):
        return None
    named = (identity, *(source for face in faces for source in (face.reference, face.wears)))
    return next((source for source in named if source is not None and source.name not in prepared), None)


def _engine_unable() -> MirageError:
    return Unavailable(
        "face_unable", "The face engine cannot use this face: you are covered. Choose another one, or upload it again."
    )
