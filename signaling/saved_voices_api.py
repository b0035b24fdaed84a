"""One's own saved voices over HTTP: list, save under a name, remove."""

import msgspec
from aiohttp import web

from mirage_rtc.errors import BadInput, TooLarge
from signaling import uploads
from signaling.callers import caller
from signaling.http_answers import SavedVoices
from signaling.http_rules import json_response
from signaling.protocol import UNREADABLE, VoiceChoice
from signaling.services import SERVICES

BODY_BYTES_MAX = 4096


async def list_saved(request: web.Request) -> web.Response:
    """`GET /v1/voices/presets`: by name."""
    services, call = request.app[SERVICES], caller(request)
    services.saved_by_subject.require(call.subject, services.monotonic_s())
    saved = await services.saved.list(call.subject)
    return json_response(SavedVoices(presets=saved))


async def save(request: web.Request) -> web.Response:
    """`PUT /v1/voices/presets/{name}`: the body is a voice as in `set_voice`; a reference clip is left out of it."""
    services, call = request.app[SERVICES], caller(request)
    services.saved_by_subject.require(call.subject, services.monotonic_s())
    too_large = TooLarge("voice_preset_too_large", "A saved voice is a few numbers. Send only those.")
    body = await uploads.read_body(request, services.limits, too_large=too_large)
    if len(body) > BODY_BYTES_MAX:
        raise too_large
    saved = await services.saved.save(call.subject, request.match_info["name"], _voice(body))
    return json_response(saved)


async def remove(request: web.Request) -> web.Response:
    """`DELETE /v1/voices/presets/{name}`."""
    services, call = request.app[SERVICES], caller(request)
    services.saved_by_subject.require(call.subject, services.monotonic_s())
    await services.saved.remove(call.subject, request.match_info["name"])
    return web.Response(status=204)


def _voice(body: bytes) -> VoiceChoice:
    try:
        return msgspec.json.decode(body, type=VoiceChoice)
    except UNREADABLE as error:
        raise BadInput("voice_preset_bad", f"This voice cannot be read: {error}. Save it again.") from None


ROUTES = (
    web.get("/v1/voices/presets", list_saved),
    web.put("/v1/voices/presets/{name}", save),
    web.delete("/v1/voices/presets/{name}", remove),
)
