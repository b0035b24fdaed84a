"""The gallery over HTTP: portraits with consent, every refusal with its sentence, nobody else's portraits."""

import io
import json
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from PIL import Image

from signaling.limits import Limits
from tests.wire_server import WireServer, until, wire_server

CONSENT = {
    "attested_by": "Ada",
    "subject_name": "Ada",
    "relation": "self",
    "purpose": "a rehearsal",
    "attests": True,
}


def portrait(faces: int = 1) -> bytes:
    """A picture in which the test's inspector sees so many faces."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (100 * faces,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


def form(*pictures: bytes | None, consent: Any = CONSENT) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for picture in [picture for picture in pictures if picture is not None]:
        data.add_field("picture", io.BytesIO(picture), filename="me.png", content_type="image/png")
    if consent is not None:
        data.add_field("consent", consent if isinstance(consent, str) else json.dumps(consent))
    return data


async def refusal(server: WireServer, token: str, data: Any) -> tuple[int, str]:
    """(status, code) of an upload that is refused with a sentence."""
    status, code, sentence = await server.problem("POST", "/v1/identities", token, data=data)
    assert sentence.endswith(".")
    return status, code


async def test_a_portrait_can_be_enrolled_seen_worn_and_removed(tmp_path: Path) -> None:
    """The whole life of a portrait, with its receipt."""
    async with wire_server(tmp_path) as server:
        token = await server.join()
        async with server.post("/v1/identities", token, data=form(portrait())) as response:
            assert response.status == 201
            card = await response.json()
        assert (card["kind"], card["title"]) == ("portrait", "Ada")
        assert card["receipt_id"].startswith("cr_")
        async with server.ask("GET", "/v1/identities", token) as response:
            assert [face["id"] for face in (await response.json())["identities"]][2:] == [card["id"]]
        path = f"/v1/identities/{quote(card['id'], safe='')}"
        async with server.ask("GET", f"{path}/thumbnail", token) as response:
            assert response.content_type == "image/jpeg"
            assert Image.open(io.BytesIO(await response.read())).size == (64, 64)
        async with server.greeted(token) as socket:
            await socket.send_json({"type": "set_identity", "identity": card["id"]})
            assert (await until(socket, "state"))["identity"] == card["id"]
        async with server.ask("DELETE", path, token) as response:
            assert response.status == 204
        assert (await server.problem("GET", f"{path}/thumbnail", token))[:2] == (404, "identity_not_found")


async def test_a_mask_has_a_thumbnail(tmp_path: Path) -> None:
    """Built-in faces are shown in the gallery too."""
    async with wire_server(tmp_path) as server:
        token = await server.join()
        async with server.ask("GET", "/v1/identities/mask:one/thumbnail", token) as response:
            assert (response.status, response.content_type) == (200, "image/jpeg")


async def test_another_persons_portrait_is_not_there(tmp_path: Path) -> None:
    """Neither to see nor to remove."""
    async with wire_server(tmp_path) as server:
        async with server.post("/v1/identities", await server.join("ada"), data=form(portrait())) as response:
            path = f"/v1/identities/{(await response.json())['id']}"
        bob = await server.join("bob")
        assert (await server.problem("GET", f"{path}/thumbnail", bob))[:2] == (404, "identity_not_found")
        assert (await server.problem("DELETE", path, bob))[:2] == (404, "identity_not_found")
        assert (await server.problem("GET", f"{path}/thumbnail"))[:2] == (401, "token_missing")


def corrupt_png() -> bytes:
    whole = bytearray(portrait())
    whole[60:70] = zlib.compress(b"x")[:10]
    return bytes(whole)


UNUSABLE: list[tuple[bytes, int, str]] = [
    (portrait(0), 400, "portrait_no_face"),
    (portrait(2), 400, "portrait_several_faces"),
    (corrupt_png(), 400, "picture_corrupt"),
    (portrait()[:-40], 400, "picture_corrupt"),
    (b"GIF89a" + bytes(64), 400, "picture_format"),
    (b"", 400, "picture_format"),
    (bytes(11 * 2**20), 413, "picture_too_large"),
    (bytes(13 * 2**20), 413, "picture_too_large"),
    (bytes(40 * 2**20), 413, "picture_too_large"),
]


@pytest.mark.parametrize(("picture", "status", "code"), UNUSABLE, ids=range(len(UNUSABLE)))
async def test_a_picture_that_cannot_be_worn_is_refused(tmp_path: Path, picture: bytes, status: int, code: str) -> None:
    """40 MB too: the sender hears why, the connection stays, other calls go on."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join("bob")) as other:
        token = await server.join()
        assert await refusal(server, token, form(picture)) == (status, code)
        async with server.ask("GET", "/v1/identities", token) as response:
            assert len((await response.json())["identities"]) == 2
        await other.send_json({"type": "ping", "sent_ms": 1})
        await until(other, "pong")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (form(portrait(), consent=None), "upload_bad"),
        (form(None), "upload_bad"),
        (form(portrait(), consent="{"), "consent_bad"),
        (form(portrait(), consent=CONSENT | {"relation": "boss"}), "consent_bad"),
        (form(portrait(), consent=CONSENT | {"attests": False}), "consent_missing"),
        (form(*[portrait()] * 9), "upload_bad"),
        (b"not a form", "upload_bad"),
    ],
    ids=["no consent", "no picture", "no JSON", "relation", "not attested", "nine", "no form"],
)
async def test_a_form_that_is_incomplete_is_refused(tmp_path: Path, data: Any, code: str) -> None:
    """Without consent in full a portrait is not even looked at."""
    async with wire_server(tmp_path) as server:
        assert await refusal(server, await server.join(), data) == (400, code)


async def test_a_broken_multipart_body_is_refused(tmp_path: Path) -> None:
    """What aiohttp's parser chokes on is a coded error too."""
    headers = {"Content-Type": "multipart/form-data; boundary=xyz"}
    async with wire_server(tmp_path) as server:
        for body in (b"", b"--xyz", b"--xyz\r\n\r\nno name\r\n--xyz--\r\n", b"--abc\r\n"):
            token = await server.join(f"person {len(body)}")
            answer = await server.problem("POST", "/v1/identities", token, data=body, headers=headers)
            assert answer[:2] == (400, "upload_bad")


async def test_a_link_without_the_grant_enrols_nobody(tmp_path: Path) -> None:
    """The operator may allow masks only."""
    async with wire_server(tmp_path) as server:
        token = await server.join(enroll=False)
        assert await refusal(server, token, form(portrait())) == (403, "enroll_not_granted")


async def test_uploads_are_limited_by_subject(tmp_path: Path) -> None:
    """Decoding pictures is work that a caller can ask for."""
    async with wire_server(tmp_path, limits=Limits(uploads_burst=2, uploads_per_s=0.001)) as server:
        token = await server.join()
        for _ in range(2):
            assert (await refusal(server, token, form(portrait(0))))[1] == "portrait_no_face"
        assert await refusal(server, token, form(portrait())) == (429, "rate_limited")


async def test_several_portraits_make_one_identity_under_one_consent(tmp_path: Path) -> None:
    """One card, one receipt with a digest of each; its thumbnail is the first."""
    async with wire_server(tmp_path) as server:
        token = await server.join()
        async with server.post("/v1/identities", token, data=form(*[portrait()] * 8)) as response:
            assert response.status == 201
            card = await response.json()
        assert "of 8 pictures" in card["description"]
        (receipt,) = map(json.loads, (tmp_path / "consent.jsonl").read_text().splitlines())
        assert (receipt["receipt_id"], len(receipt["further_hmacs"])) == (card["receipt_id"], 7)
        answer = await server.problem("POST", "/v1/identities", token, data=form(portrait(), portrait()[:-40]))
        assert answer[:2] == (400, "picture_corrupt")
        assert answer[2].startswith("Picture 2: ")


async def test_pictures_that_are_too_much_together_are_refused(tmp_path: Path) -> None:
    """Each is small enough; the connection stays."""
    async with wire_server(tmp_path, limits=Limits(upload_bytes=2000)) as server:
        token = await server.join()
        assert await refusal(server, token, form(*[bytes(1900)] * 4)) == (413, "form_too_large")
        async with server.ask("GET", "/livez") as response:
            assert response.status == 200
