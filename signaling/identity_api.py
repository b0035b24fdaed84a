"""The gallery over HTTP: list, enrol a portrait with its consent form, remove it, and thumbnails."""

import asyncio

import msgspec
from aiohttp import web

from mirage_rtc.consent import ConsentForm
from mirage_rtc.errors import BadInput, Forbidden
from signaling import uploads, views
from signaling.callers import caller
from signaling.calls import Call
from signaling.http_answers import Gallery
from signaling.http_rules import json_response
from signaling.protocol import UNREADABLE
from signaling.services import SERVICES


async def list_identities(request: web.Request) -> web.Response:
    """`GET /v1/identities`: the masks and one's own portraits."""
    return json_response(Gallery(identities=views.identities(caller(request).subject, request.app[SERVICES])))


async def enroll(request: web.Request) -> web.Response:
    """`POST /v1/identities`: multipart with `consent` (JSON) and 1 to 8 times `picture` (JPEG, PNG or WebP)."""
    services, call = request.app[SERVICES], caller(request)
    _require_enroll(call)
    services.uploads_by_subject.require(call.subject, services.monotonic_s())
    too_large = uploads.picture_too_large(services.limits)
    form = await uploads.read_form(request, services.limits, too_large=too_large)
    if "picture" not in form or "consent" not in form:
        raise BadInput("upload_bad", "The upload needs a part `picture` and one part `consent` (JSON).")
    card = await services.vault.enroll(call.subject, form["picture"], _consent(form["consent"][0]))
    return json_response(views.identity(card), status=201)


async def remove(request: web.Request) -> web.Response:
    """`DELETE /v1/identities/{id}`: forget one's own portrait."""
    request.app[SERVICES].vault.remove(caller(request).subject, request.match_info["id"])
    return web.Response(status=204)


async def thumbnail(request: web.Request) -> web.Response:
    """`GET /v1/identities/{id}/thumbnail`: a small picture of a mask or of one's own portrait."""
    services, call = request.app[SERVICES], caller(request)
    picture = await asyncio.to_thread(services.vault.thumbnail, call.subject, request.match_info["id"])
    return web.Response(body=picture, content_type="image/png" if picture[:4] == b"\x89PNG" else "image/jpeg")


def _require_enroll(call: Call) -> None:
    if not call.grants.enroll:
        raise Forbidden("enroll_not_granted", "This link does not allow portraits. Wear one of the masks.")


def _consent(data: bytes) -> ConsentForm:
    try:
        return msgspec.json.decode(data, type=ConsentForm)
    except UNREADABLE as error:
        raise BadInput("consent_bad", f"The consent form cannot be read: {error}. Fill in every field.") from None


ROUTES = (
    web.get("/v1/identities", list_identities),
    web.post("/v1/identities", enroll),
    web.delete("/v1/identities/{id}", remove),
    web.get("/v1/identities/{id}/thumbnail", thumbnail),
)
