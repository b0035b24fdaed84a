"""Reference voices over HTTP: a WAV clip in, a name for `set_voice` out. Only what was measured is kept, in memory."""

import asyncio

from aiohttp import web

from signaling import uploads
from signaling.callers import caller
from signaling.http_answers import VoiceReference
from signaling.http_rules import json_response
from signaling.services import SERVICES
from signaling.wav import read_clip


async def measure(request: web.Request) -> web.Response:
    """`POST /v1/voices/reference`: the body is a WAV file of 3 to 30 s of speech."""
    services, call = request.app[SERVICES], caller(request)
    services.uploads_by_subject.require(call.subject, services.monotonic_s())
    body = await uploads.read_body(request, services.limits, too_large=uploads.clip_too_large(services.limits))
    samples, rate_hz = await asyncio.to_thread(read_clip, body)
    profile = await services.calls.measure_voice(samples, rate_hz)
    name = services.references.add(call.subject, profile)
    title = f"Your clip, {len(samples) / rate_hz:.0f} s"
    return json_response(VoiceReference(reference=name, title=title), status=201)


ROUTES = (web.post("/v1/voices/reference", measure),)
