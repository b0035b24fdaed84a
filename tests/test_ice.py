"""TURN credentials, and the candidates that this server may send packets to."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirage_rtc.errors import TooMany
from signaling import ice
from signaling.protocol import IceServer


def candidate(address: str, *, transport: str = "udp", port: str = "50000") -> str:
    return f"candidate:1 1 {transport} 2122260223 {address} {port} typ host generation 0"


def test_turn_credentials_are_the_rest_drafts() -> None:
    """username = expiry:name, credential = base64(HMAC-SHA1(secret, username)); the subject is not told to TURN."""
    stun, turn = ice.servers(
        ["stun:s.example:3478", "turn:t.example:3478"], "secret" * 4, subject="ada", ttl_s=300, now_s=1000.7
    )
    assert stun == IceServer(urls=("stun:s.example:3478",))
    assert turn.urls == ("turn:t.example:3478",)
    assert turn.username is not None
    assert turn.username.startswith("1300:")
    assert "ada" not in turn.username
    expected = hmac.new(b"secret" * 4, turn.username.encode(), hashlib.sha1).digest()
    assert turn.credential == base64.b64encode(expected).decode()


def test_without_turn_there_is_nothing_to_hand_out() -> None:
    """An empty list is a valid RTCConfiguration."""
    assert ice.servers([], None, subject="ada", ttl_s=300, now_s=0) == ()


PUBLIC = ["8.8.8.8", "2606:4700:4700::1111"]
PRIVATE = ["127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.5", "100.64.0.1", "fd00::1"]
NEVER = [
    "169.254.169.254",
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",
    "::",
    "255.255.255.255",
    "192.0.2.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:1::1",
    "c0ffee.local",
    "example.org",
    "127.1",
    "0x7f000001",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_contacted(address: str) -> None:
    """The control of the refusals below."""
    assert ice.may_contact(candidate(address), allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_only_where_the_operator_allows_them(address: str) -> None:
    """On a public host they would be its neighbours."""
    assert ice.may_contact(candidate(address), allow_private=True)
    assert not ice.may_contact(candidate(address), allow_private=False)


@pytest.mark.parametrize("address", NEVER)
def test_special_addresses_and_names_never(address: str) -> None:
    """Cloud metadata, multicast, IPv4 in disguise, and whatever needs a resolver."""
    assert not ice.may_contact(candidate(address), allow_private=True)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "candidate:",
        "candidate:1 1 udp 1 8.8.8.8",
        candidate("8.8.8.8", transport="tcp"),
        candidate("8.8.8.8", port="0"),
        candidate("8.8.8.8", port="70000"),
        candidate("8.8.8.8", port="-1"),
        candidate("8.8.8.8", port="\u0665"),
    ],
)
def test_what_is_not_a_udp_candidate_is_dropped(line: str) -> None:
    """Malformed lines too: nothing of them reaches the media stack."""
    assert not ice.may_contact(line, allow_private=True)


@given(st.text(max_size=100), st.lists(st.text(max_size=20), max_size=10))
def test_no_line_at_all_gets_more_than_a_no(line: str, words: list[str]) -> None:
    """Whatever a stranger calls a candidate."""
    for text in (line, "candidate:" + " ".join(words), "candidate:1 1 udp 1 " + " ".join(words)):
        assert ice.may_contact(text, allow_private=True) in (True, False)


def test_an_offer_keeps_all_but_the_forbidden_candidates() -> None:
    """Every other line stays as it was, to the byte."""
    lines = ["v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=" + candidate("169.254.169.254"), "a=mid:0"]
    kept = "a=" + candidate("8.8.8.8")
    offer = "\r\n".join([*lines, kept, ""])
    filtered = ice.filter_offer(offer, allow_private=True, candidates_max=32)
    assert filtered == "\r\n".join(["v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0", kept, ""])


def test_an_offer_with_too_many_candidates_is_refused() -> None:
    """Each one costs the server checks for seconds."""
    offer = "v=0\r\n" + ("a=" + candidate("8.8.8.8") + "\r\n") * 33
    with pytest.raises(TooMany) as caught:
        ice.filter_offer(offer, allow_private=True, candidates_max=32)
    assert caught.value.code == "candidates_too_many"
