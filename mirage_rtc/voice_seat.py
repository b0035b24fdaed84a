"""A call's seat in the voice lane: which voice speaks, at which hop, and what is done when an imported one is unable.

What a call is to sound like is remembered here, on the server's side, so that a new worker starts with it. Another
voice is prepared while the old one speaks. An imported voice moves along the hop ladder; one that is too slow, raises,
kills its worker twice or cannot be loaded gives way to the embedded voice, and the session is told. `audio_path` holds
one.
"""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from mirage_rtc.errors import MirageError
from mirage_rtc.hop_ladder import FAIL_ABOVE, HopLadder, Move
from mirage_rtc.inference import EngineFailed, Lane, LaneDown, WorkerLost
from mirage_rtc.voice_pipeline import (
    CloseVoice,
    ConvertedHop,
    ConvertHop,
    OpenedVoice,
    OpenVoice,
    Prepared,
    PrepareVoice,
    SetVoice,
    VoiceUnable,
)
from mirage_rtc.warm_up import WarmUp
from models.engines import Samples, VoiceSettings
from models.imported_voices import is_imported, one_stream

logger = logging.getLogger(__name__)

KILLS_MOST = 2
"""So many workers in a row may die of one voice."""

_DISGUISE = VoiceSettings()

Reason = Literal["slow", "raised", "killed", "refused"]

SENTENCES = {
    "voice_slow": "The imported voice is too slow on this server, so a built-in voice took its place.",
    "voice_raised": "The imported voice failed, so a built-in voice took its place. Choose it again to try once more.",
    "voice_killed": "The imported voice stopped its engine twice, so a built-in voice took its place.",
    "voice_unknown": "The imported voice is no longer on this server, so a built-in voice took its place.",
}
"""By code, for the caller: what the store and the runtime say is for the operator, and names paths and other voices."""
UNABLE = "That voice cannot be used now, so a built-in voice took its place: ask whoever runs this server."
"""For every other code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FellBack:
    """An imported voice was given up for `to`, an embedded one."""

    reason: Reason
    code: str
    sentence: str
    to: VoiceSettings


class VoiceSeat:
    """One call in the voice lane. `open`, `convert` and `advance` are called by one task only."""

    def __init__(
        self,
        lane: Lane,
        *,
        call_id: str,
        sample_rate_hz: int,
        hop_ms: int,
        settings: VoiceSettings,
        fallback: VoiceSettings = _DISGUISE,
        on_fallback: Callable[[FellBack], None] = lambda _: None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`hop_ms` is that of embedded voices, and where an imported one starts; `fallback` an embedded voice."""
        self.sample_rate_hz = sample_rate_hz
        self.delay_ms = 0.0
        self.engine = ""
        self.ladder: HopLadder | None = None
        """Of the imported voice in force."""
        self.voices = 0
        """Streams begun without one before them to fade over from."""
        self._lane = lane
        self._call_id = call_id
        self._fixed_ms = hop_ms
        self._wanted = settings
        self._told: VoiceSettings | None = None
        self._speaks: VoiceSettings | None = None
        self._offered: VoiceSettings | None = None
        self._ready = False
        self._warm_up = WarmUp()
        self._last_ms = (hop_ms, 0.0)
        self._fallback = fallback
        self._on_fallback = on_fallback
        self._on_change = on_change
        self._shown: tuple[str, bool, bool] = ("", False, False)
        self._epoch = 0
        self._kills = 0
        self._mourned = 0
        self._broken = False

    @property
    def hop_ms(self) -> int:
        """How long the next hop is to be cut: embedded voices have one length, also when one is about to begin."""
        if self.ladder is None or not is_imported(self._told or self._wanted):
            return self._fixed_ms
        return self.ladder.hop_ms

    @property
    def over_budget(self) -> bool:
        """Whether the voice in force takes the call over 250 ms."""
        return self.ladder is not None and self.ladder.over_budget

    @property
    def is_preparing(self) -> bool:
        """Whether the voice that was asked for does not speak yet."""
        return self._told is not self._speaks or self._wanted is not (self._told or self._wanted)

    def set_voice(self, settings: VoiceSettings, *, fallback: VoiceSettings | None = None) -> None:
        """Sound like `settings` from the next hop on, or as soon as that voice is prepared."""
        self._wanted = settings
        self._fallback = fallback or self._fallback

    async def open(self) -> None:
        """Have the state made before the first hop needs it; where that fails `convert` tries again, and says why."""
        with contextlib.suppress(LaneDown, EngineFailed, MirageError):
            await self._settle()

    async def convert(self, samples: Samples) -> ConvertedHop:
        """Convert one hop. Raises LaneDown, or EngineFailed also for a hop of a length that the voice does not take."""
        await self._settle()
        hop_ms = len(samples) * 1000 // self.sample_rate_hz
        if self.ladder is None and hop_ms != self._fixed_ms:
            raise EngineFailed("hop of another voice")  # it was cut before a voice was given up
        converted: ConvertedHop = await self._ask(ConvertHop(call_id=self._call_id, samples=samples))
        self._note(converted, hop_ms)
        return converted

    async def advance(self, *, waits: bool = False) -> None:
        """Between two hops: one step towards the voice that was asked for, if there is one to take.

        With hops that wait already, here or in another call, an imported voice waits, too, for a while.
        """
        if self._told is None or self._told is self._speaks or self._epoch != self._lane.epoch:
            return
        if self._offered is None or not one_stream(self._offered, self._told):
            self._warm_up = WarmUp()
        self._offered = self._told
        hop_ms, run_ms = self._last_ms
        waits = waits or not self._lane.is_idle
        step = self._warm_up.step(hop_ms=hop_ms, run_ms=run_ms, waits=waits) if is_imported(self._told) else None
        job = PrepareVoice(call_id=self._call_id, settings=self._told, step=step)
        with contextlib.suppress(LaneDown, EngineFailed):
            answer: Prepared | VoiceUnable = await self._ask(job)
            if isinstance(answer, VoiceUnable):
                self._refuse(answer)
            else:
                self._ready = answer.state == "ready"
                if answer.state != "loading":
                    self._warm_up.note(hop_ms=hop_ms, fed_ms=answer.fed_ms, run_ms=answer.run_ms)
        self._show()

    def skip(self, hop_ms: int) -> None:
        """A hop was left out because too many wait: where the voice is to blame it took as long as the one before."""
        if self.ladder is not None and self.ladder.last_ratio > FAIL_ABOVE:
            self._climb(self.ladder.last_ratio * hop_ms, hop_ms)

    async def close(self) -> None:
        """Give the seat up."""
        with contextlib.suppress(LaneDown, EngineFailed):
            await self._lane.run(CloseVoice(call_id=self._call_id))

    async def _settle(self) -> None:
        """Bring the worker's state up to what is wanted."""
        wanted, epoch = self._wanted, self._lane.epoch
        if self._epoch != epoch or self._broken:
            await self._begin(wanted, epoch)
        elif self._told is not wanted:
            if self._speaks is not None and one_stream(self._speaks, wanted):
                await self._lane.run(SetVoice(call_id=self._call_id, settings=wanted))
                self._speaks, self._offered = wanted, None
            self._told = wanted
            self._show()

    async def _begin(self, wanted: VoiceSettings, epoch: int) -> None:
        """State for this call in a worker that has none, or none that is of use."""
        if self._epoch != epoch and self._told is not self._speaks:
            self._mourn(self._epoch)  # it was being loaded: whoever's job was lost, it may have been the reason
            wanted = self._wanted
        job = OpenVoice(
            call_id=self._call_id,
            sample_rate_hz=self.sample_rate_hz,
            hop_ms=self._fixed_ms,
            settings=wanted,
            until=self._fallback,
            delay_ms=self.delay_ms,
        )
        opened: OpenedVoice = await self._ask(job, settling=True)
        self._epoch, self._broken, self._ready, self._offered = epoch, False, False, None
        self.voices += 1
        self._told, self._speaks = wanted, self._fallback if opened.waits else wanted
        self.engine, self.delay_ms = opened.engine, opened.delay_ms
        self.ladder = HopLadder(start_ms=self._fixed_ms) if self._is_imported(self._speaks) else None
        if opened.unable is not None:
            self._refuse(opened.unable)
        self._show()

    async def _ask(self, job: Any, *, settling: bool = False) -> Any:
        """One job. What becomes of an imported voice that it brought to an end is decided here."""
        epoch = self._lane.epoch
        try:
            return await self._lane.run(job, settling=settling)
        except WorkerLost:
            self._mourn(epoch)
            raise
        except EngineFailed:
            if self._ready or self._is_imported(self._speaks) or not isinstance(job, ConvertHop):
                self._give_up("raised")
            raise

    def _note(self, converted: ConvertedHop, hop_ms: int) -> None:
        """What a converted hop says about the voice in force, and whether there is another from here on."""
        self.engine = converted.engine
        self._last_ms = (hop_ms, converted.run_ms)
        if converted.delay_ms is not None:
            self.delay_ms = converted.delay_ms
        if converted.switched:
            self._enter()
        elif self.ladder is not None:
            self._kills = 0
            self._climb(converted.run_ms, hop_ms)
        self._show()

    def _enter(self) -> None:
        """The voice that was prepared is in force. Between imported ones the rung stays: they cost alike."""
        self._speaks, self._offered, self._ready = self._offered, None, False
        if self._told is not self._speaks:
            self._told = self._speaks  # its controls moved since: `_settle` sends them
        if not self._is_imported(self._speaks):
            self.ladder = None
        elif self.ladder is None:
            self.ladder = HopLadder(start_ms=self._fixed_ms)

    def _climb(self, run_ms: float, hop_ms: int) -> None:
        assert self.ladder is not None
        if self.ladder.observe(run_ms, hop_ms=hop_ms) is Move.FAILED:
            self._give_up("slow")

    def _mourn(self, epoch: int) -> None:
        """A worker died, once for each epoch, while it had this call's imported voice in hand."""
        if epoch == self._mourned or not (is_imported(self._wanted) or self._is_imported(self._told)):
            return
        self._mourned = epoch
        self._kills += 1
        if self._kills >= KILLS_MOST:
            self._give_up("killed")

    def _refuse(self, unable: VoiceUnable) -> None:
        logger.warning("an imported voice cannot be used", extra={"code": unable.code, "sentence": unable.sentence})
        self._give_up("refused", code=unable.code)

    def _give_up(self, reason: Reason, *, code: str = "") -> None:
        """To the embedded voice: at once where the imported one speaks and is no use, by a change of voice else."""
        if not is_imported(self._wanted) and not self._is_imported(self._speaks):
            return
        self._broken = reason != "refused"
        self._kills = 0
        if is_imported(self._wanted):
            self._wanted = _with_microphone_of(self._wanted, self._fallback)
        if self._broken:
            self.ladder = None
        code = code or f"voice_{reason}"
        self._on_fallback(FellBack(reason=reason, code=code, sentence=SENTENCES.get(code, UNABLE), to=self._wanted))

    @staticmethod
    def _is_imported(settings: VoiceSettings | None) -> bool:
        return settings is not None and is_imported(settings)

    def _show(self) -> None:
        """Tell the session when something that it shows is another now."""
        shown = self.engine, self.over_budget, self.is_preparing
        if shown != self._shown:
            self._shown = shown
            self._on_change()


def _with_microphone_of(given_up: VoiceSettings, embedded: VoiceSettings) -> VoiceSettings:
    """The embedded voice, heard as before: what is done to the microphone is no matter of the voice."""
    gain_db, gate_db, denoise = given_up.input_gain_db, given_up.gate_db, given_up.denoise
    return replace(embedded, input_gain_db=gain_db, gate_db=gate_db, denoise=denoise)
