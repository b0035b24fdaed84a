"""What each control message does to its call, and where the chunk media of a socket lives. Called by `peer_socket.py`.

What is allowed is the session's word; here only sizes, candidates and names are looked at first.
"""

from collections.abc import Callable

from mirage_rtc.errors import BadInput, TooLarge
from models.engines import VoiceSettings
from signaling import enhancer_message, ice, mapping_message, protocol
from signaling.calls import Call
from signaling.chunk_socket import ChunkSocket, Verdict
from signaling.limits import Limits
from signaling.outbox import Outbox
from signaling.services import Services

Reply = Callable[[protocol.ServerMessage], None]


def offer_too_large(limits: Limits) -> TooLarge:
    """The error of an offer beyond `limits.sdp_bytes`; the call goes on."""
    return TooLarge("offer_too_large", f"An offer has at most {limits.sdp_bytes} bytes of SDP; offer fewer codecs.")


class Dispatch:
    """The messages of one socket, applied to one call."""

    def __init__(self, *, call: Call, services: Services, outbox: Outbox, reply: Reply, verdict: Verdict) -> None:
        """`reply` sends a message back; `verdict` is told of every media chunk."""
        self._call = call
        self._services = services
        self._limits = services.limits
        self._outbox = outbox
        self._reply = reply
        self._verdict = verdict
        self._chunks: ChunkSocket | None = None
        self._candidates = 0

    async def close(self) -> None:
        """End the chunk media of this socket."""
        await self._stop_chunks()

    def take_chunk(self, data: bytes) -> None:
        """Take a binary frame; raises BadInput `chunk_unexpected` before `start_chunks`."""
        if self._chunks is None:
            raise BadInput("chunk_unexpected", "Send `start_chunks` before media chunks.")
        self._chunks.take(data)

    async def act(self, message: protocol.ClientMessage) -> None:
        """Apply one message; raises MirageError."""
        match message:
            case protocol.Offer():
                await self._negotiate(message)
            case protocol.Candidate():
                await self._add_candidate(message)
            case protocol.Ping():
                server_ms = self._services.monotonic_s() * 1000
                self._reply(protocol.Pong(sent_ms=message.sent_ms, server_ms=server_ms))
            case protocol.Report():
                self._services.metrics.report(message)
            case protocol.StartChunks():
                await self._start_chunks()
            case protocol.Bye():
                await self._call.close("bye", "You ended the call.")
            case _:
                await self._change(message)

    async def _change(self, message: protocol.ClientMessage) -> None:
        """The settings of the call; the session says what is allowed and emits the new state."""
        match message:
            case protocol.SetIdentity():
                await self._call.wear(message.identity)
            case mapping_message.SetMapping():
                await self._call.set_mapping(mapping_message.to_call(message))
            case protocol.SetVoice():
                await self._call.set_voice(self._voice(message))
            case protocol.SetPassthrough():
                self._call.set_passthrough(face=message.face, voice=message.voice)
            case protocol.SetMuted():
                self._call.set_muted(audio=message.audio, video=message.video)
            case protocol.SetBadge():
                self._call.set_badge(message.visible)
            case enhancer_message.SetEnhancer():
                self._call.set_enhancer(enhancer_message.to_wish(message))

    async def _negotiate(self, offer: protocol.Offer) -> None:
        if len(offer.sdp.encode(errors="replace")) > self._limits.sdp_bytes:
            raise offer_too_large(self._limits)
        allow_private = self._services.config.allow_private_peers
        sdp = ice.filter_offer(offer.sdp, allow_private=allow_private, candidates_max=self._limits.candidates)
        self._candidates = 0
        answer = await self._call.negotiate(sdp)
        await self._stop_chunks()
        self._reply(protocol.Answer(sdp=answer))

    async def _add_candidate(self, message: protocol.Candidate) -> None:
        self._candidates += 1
        if self._candidates > self._limits.candidates:
            raise ice.too_many(self._limits.candidates)
        allow_private = self._services.config.allow_private_peers
        if message.candidate and not ice.may_contact(message.candidate, allow_private=allow_private):
            return
        await self._call.add_candidate(message.candidate, message.sdp_mid, message.sdp_m_line_index)

    def _voice(self, message: protocol.SetVoice) -> VoiceSettings:
        reference = message.reference
        profile = None if reference is None else self._services.references.get(self._call.subject, reference)
        return VoiceSettings(
            preset=message.preset,
            pitch_semitones=message.pitch_semitones,
            formant_ratio=message.formant_ratio,
            breath=message.breath,
            reference=profile,
            index_rate=message.index_rate,
            protect=message.protect,
            input_gain_db=message.input_gain_db,
            gate_db=message.gate_db,
            denoise=message.denoise,
            auto_pitch=message.auto_pitch,
        )

    async def _start_chunks(self) -> None:
        await self._stop_chunks()
        self._chunks = ChunkSocket(
            line=self._call.open_chunks(),
            outbox=self._outbox,
            limits=self._limits,
            metrics=self._services.metrics,
            monotonic_s=self._services.monotonic_s,
            verdict=self._verdict,
        )
        self._chunks.start()

    async def _stop_chunks(self) -> None:
        chunks, self._chunks = self._chunks, None
        if chunks is not None:
            await chunks.close()
