"""One call's voice over all engines of its lane: changed at a hop boundary, at one content delay, without a click.

The new voice is fed what was said in the last second, in small steps between the hops of all calls, while the old one
speaks; how small, `mirage_rtc.warm_up` says for imported ones. When it has caught up, one hop is converted by both and
faded over in 10 ms. What comes out lags by the delay of the slowest stream so far: that grows once, with the first
imported voice, and stays, so that lip sync and later changes do not jump (voice reference, section 5.5). Called by
`mirage_rtc.voice_pipeline`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.engines import Samples, VoiceSettings, VoiceStream
from models.imported_voices import is_imported, least_delay_ms, one_stream, plain
from models.voice_graph import HOPS_MS
from models.voice_rack import VoiceRack

PAST_MS = 1000
"""An imported voice sees about a second; what it was not fed, it takes for silence."""
EMBEDDED_PAST_MS = 400
"""An embedded voice looks back less, and its hops cost the more, the more of them there are."""
STEP_MS = 120
"""So much sound at least is made up for in one step, and more than comes until the next."""
FADE_MS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Warming:
    """What one step towards a voice may do: feed it `most_ms`, of what was said in the last `past_ms`.

    A voice that is further behind begins afresh there. It is not ready before it has heard `least_ms` in a row.
    """

    most_ms: int
    past_ms: int = PAST_MS
    least_ms: int = 0


class DelayLine:
    """Holds sound back by a constant number of samples."""

    def __init__(self, samples: int) -> None:
        self._held = np.zeros(max(0, samples), np.float32)

    def delayed(self, block: Samples) -> Samples:
        """As many samples, of so much earlier."""
        joined = np.concatenate([self._held, block])
        self._held = joined[len(block) :]
        return joined[: len(block)]


@dataclass(slots=True, kw_only=True)
class _Part:
    """A stream, brought to the call's delay, and how much of the call it was fed."""

    settings: VoiceSettings
    stream: VoiceStream
    line: DelayLine
    delay_ms: float
    hops_ms: tuple[int, ...]
    fed: int = 0
    heard: int = 0
    ready: bool = False

    def convert(self, samples: Samples) -> Samples:
        """One hop; ValueError when another number of samples comes out."""
        made = np.asarray(self.stream.convert(samples), np.float32)
        if len(made) != len(samples):
            raise ValueError("hop length changed")
        self.fed += len(samples)
        self.heard += len(samples)
        return self.line.delayed(made)


class CallVoice:
    """The voice of one call."""

    def __init__(
        self, rack: VoiceRack, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings, delay_ms: float = 0.0
    ) -> None:
        """`hop_ms` is the embedded voice's, always; `delay_ms` what the call's delay grew to already, if it did."""
        self.stage_ms: dict[str, float] = {}
        self.switches = 0
        self.fed_ms = 0
        """How much the last step of preparation fed."""
        self._rack = rack
        self._rate_hz = sample_rate_hz
        self._hop_ms = hop_ms
        self._heard = 0
        self._past = np.zeros(0, np.float32)
        self._last_hop_ms = hop_ms
        self._delay_ms = delay_ms
        self._now = self._open(settings)
        self._delay_ms = self._now.delay_ms
        self._next: _Part | None = None

    @property
    def delay_ms(self) -> float:
        """The content delay, the hop excluded."""
        return self._now.delay_ms

    @property
    def settings(self) -> VoiceSettings:
        """What is spoken now."""
        return self._now.settings

    @property
    def seams(self) -> int:
        """Cuts inside the stream in force that it had to fade; 0 while it runs as it should."""
        return int(getattr(self._now.stream, "fades", 0))

    def set_voice(self, settings: VoiceSettings) -> None:
        """Other controls of the voice that speaks, or another embedded voice, from the next hop on."""
        if not one_stream(self._now.settings, settings):
            raise ValueError("Another voice is prepared first.")
        self._now.stream.set_voice(plain(settings))
        self._now.settings = settings
        self._next = None

    def begin_again(self, settings: VoiceSettings) -> None:
        """Another voice from the next hop on, the one before being of no use any more.

        It hears as much first as its delay holds back, so that it does not begin in the middle of a word from nothing.
        """
        part = self._warming(settings, past_ms=STEP_MS)
        while part.fed < self._heard:
            self._feed(part)
        self._now, self._next, self._delay_ms = part, None, part.delay_ms

    def prepare(self, settings: VoiceSettings, step: Warming | None = None) -> bool:
        """One step towards another voice that `VoiceRack.is_ready`; whether the next hop that fits brings it."""
        part, step = self._next, step or self._usual_step(settings)
        if part is None or not one_stream(part.settings, settings) or self._is_out_of_step(part, step.past_ms):
            part = self._next = self._warming(settings, step.past_ms)
        else:
            part.stream.set_voice(plain(settings))
            part.settings = settings
        begun = part.fed
        while part.fed < self._heard and self._feed(part, step.most_ms - self._ms(part.fed - begun)):
            pass
        self.fed_ms = self._ms(part.fed - begun)
        part.ready = part.fed == self._heard and self._ms(part.heard) >= step.least_ms
        return part.ready

    def convert(self, hop: Samples) -> Samples:
        """One hop of a length that the voice in force takes; the next voice's first, where it is prepared."""
        part, before = self._next, self._heard
        self._remember(hop)
        if part is None or not part.ready or part.fed != before or self._ms(len(hop)) not in part.hops_ms:
            made = self._now.convert(hop)
        else:
            made = self._faded(self._now.convert(hop), part.convert(hop))
            self._now, self._next, self._delay_ms = part, None, part.delay_ms
            self.switches += 1
        self.stage_ms = getattr(self._now.stream, "stage_ms", {})
        return made

    def _faded(self, old: Samples, new: Samples) -> Samples:
        """From one voice to another: they are not alike, so that equal power keeps the loudness."""
        rise = np.sin(np.linspace(0, np.pi / 2, self._rate_hz * FADE_MS // 1000)).astype(np.float32)
        made = new.copy()
        made[: len(rise)] = new[: len(rise)] * rise + old[: len(rise)] * rise[::-1]
        return made

    def _open(self, settings: VoiceSettings) -> _Part:
        stream = self._rack.open(sample_rate_hz=self._rate_hz, hop_ms=self._hop_ms, settings=settings)
        delay_ms = max(self._delay_ms, least_delay_ms(settings, stream.delay_ms))
        lag = round((delay_ms - stream.delay_ms) * self._rate_hz / 1000)
        hops_ms = HOPS_MS if is_imported(settings) else (self._hop_ms,)
        line = DelayLine(lag)
        return _Part(settings=settings, stream=stream, line=line, delay_ms=delay_ms, hops_ms=hops_ms)

    def _warming(self, settings: VoiceSettings, past_ms: int = PAST_MS) -> _Part:
        """A stream that begins as far back as is remembered and it needs, by whole hops of its own."""
        part = self._open(settings)
        past_ms = min(past_ms, self._ms(len(self._past)))
        if not is_imported(settings):
            past_ms = min(past_ms, EMBEDDED_PAST_MS) // self._hop_ms * self._hop_ms
        part.fed = self._heard - past_ms * self._rate_hz // 1000
        return part

    def _usual_step(self, settings: VoiceSettings) -> Warming:
        least_ms = max(HOPS_MS) if is_imported(settings) else STEP_MS
        return Warming(most_ms=max(least_ms, 2 * self._last_hop_ms))

    def _feed(self, part: _Part, most_ms: int = PAST_MS) -> int:
        """One hop of what was said, of the longest that brings it nearer and leaves nothing that it cannot take.

        Its length in ms; 0 where none is within `most_ms`.
        """
        lag = self._heard - part.fed
        hop_ms = longest_hop_ms(part.hops_ms, self._ms(lag), most_ms)
        if hop_ms:
            part.convert(self._past[len(self._past) - lag :][: hop_ms * self._rate_hz // 1000])
        return hop_ms

    @property
    def _embedded_hop(self) -> int:
        return self._hop_ms * self._rate_hz // 1000

    def _is_out_of_step(self, part: _Part, past_ms: int) -> bool:
        """Whether it can no longer catch up: too far behind, or not by whole hops of its own."""
        lag = self._heard - part.fed
        most = min(len(self._past), past_ms * self._rate_hz // 1000)
        return lag > most or (not is_imported(part.settings) and lag % self._embedded_hop > 0)

    def _remember(self, hop: Samples) -> None:
        kept = PAST_MS * self._rate_hz // 1000
        self._past = np.concatenate([self._past, hop])[-kept:]
        self._heard += len(hop)
        self._last_hop_ms = self._ms(len(hop))

    def _ms(self, samples: int) -> int:
        return samples * 1000 // self._rate_hz


def longest_hop_ms(hops_ms: Sequence[int], left_ms: int, most_ms: int = PAST_MS) -> int:
    """The longest hop of `most_ms` that leaves nothing, or something that further hops make up; 0: there is none."""
    least = min(hops_ms)
    fits = [hop for hop in hops_ms if hop <= most_ms and (left_ms == hop or left_ms - hop >= least)]
    return max(fits, default=0)
