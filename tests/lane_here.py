"""A voice lane in this process, so that a call's voice can be followed in virtual time; what a hop costs is told."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mirage_rtc.inference import EngineFailed, LaneDown, WorkerLost
from mirage_rtc.voice_pipeline import ConvertedHop, ConvertHop, Prepared, PrepareVoice, VoicePipeline
from models.imported_voices import is_imported
from models.voice_rack import VoiceRack
from tests.scripted_voices import loaded_rack

Cost = Callable[[str, int], float]
"""Ms that a hop of this engine and this length takes."""


class LaneHere:
    """What a seat asks of a lane. `lose` loses the worker: before the next job, or over it."""

    def __init__(self, cost_ms: Cost = lambda engine, hop_ms: 4.0, make: Callable[[], VoiceRack] = loaded_rack) -> None:
        self.state = "ready"
        self.epoch = 1
        self.jobs: list[Any] = []
        self.cost_ms = cost_ms
        self._make = make
        self._pipeline = VoicePipeline(make())
        self._lost_over: type | None = None
        self._turn = asyncio.Lock()
        self._asked = 0

    @property
    def is_idle(self) -> bool:
        """As the real one."""
        return not self._asked

    async def run(self, job: Any, *, settling: bool = False) -> Any:
        """Do it in its turn, and take the time that its hop costs, or what was fed to a voice."""
        self._asked += 1
        try:
            async with self._turn:
                return await self._run(job)
        finally:
            self._asked -= 1

    async def _run(self, job: Any) -> Any:
        if self.state != "ready":
            raise LaneDown
        self.jobs.append(job)
        if self._lost_over is not None and isinstance(job, self._lost_over):
            self._lost_over = None
            self.lose()
            raise WorkerLost
        try:
            answer = self._pipeline.handle(job)
        except Exception as error:  # noqa: BLE001 - as the real worker answers
            raise EngineFailed(type(error).__name__) from None
        if isinstance(answer, ConvertedHop):
            run_ms = self.cost_ms(answer.engine, len(job.samples) * 1000 // 48_000)
            await asyncio.sleep(run_ms / 1000)
            return replace(answer, run_ms=run_ms, cpu_ms=run_ms)
        if isinstance(answer, Prepared) and answer.fed_ms and is_imported(job.settings):
            run_ms = self.cost_ms("rvc", answer.fed_ms)
            await asyncio.sleep(run_ms / 1000)
            return replace(answer, run_ms=run_ms)
        return answer

    def lose(self) -> None:
        """The worker is gone, and another one is there already."""
        self.epoch += 1
        self._pipeline = VoicePipeline(self._make())

    def lose_over_a_hop(self) -> None:
        """The next hop takes the worker with it."""
        self._lost_over = ConvertHop

    def lose_over_preparing(self) -> None:
        """The next step towards a voice takes the worker with it."""
        self._lost_over = PrepareVoice
