"""Link tokens: every way in which one can be wrong, with the code that the caller hears."""

import base64
from typing import Any

import jwt
import pytest

from mirage_rtc.errors import ConfigError, Unauthorized
from mirage_rtc.grants import Grants
from signaling import auth

KEY = bytes(range(64))
NOW_S = 1_800_000_000.0


def forged(*, key: bytes = KEY, algorithm: str = "HS256", typ: str = auth.TOKEN_TYPE, **changed: Any) -> str:
    """A token signed by hand: claims of a good one with some changed, or removed by None."""
    claims: dict[str, Any] = {"sub": "ada", "aud": auth.AUDIENCE, "iat": NOW_S, "exp": NOW_S + 60, "jti": "j"}
    claims = {name: int(value) if isinstance(value, float) else value for name, value in (claims | changed).items()}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"typ": typ})


def code_of(token: str, *, now_s: float = NOW_S) -> str:
    """The code with which a token is refused."""
    with pytest.raises(Unauthorized) as caught:
        auth.verify(KEY, token, now_s)
    assert caught.value.sentence.endswith(".")
    return caught.value.code


def test_a_minted_token_says_who_may_do_what() -> None:
    """Grants travel in the token; two tokens never share a jti."""
    grants = Grants(passthrough=True, max_call_s=90)
    one, two = (auth.verify(KEY, auth.mint(KEY, "ada", grants, 600, NOW_S), NOW_S) for _ in range(2))
    assert (one.subject, one.grants, one.expires_s) == ("ada", grants, int(NOW_S) + 600)
    assert one.jti != two.jti


@pytest.mark.parametrize("ttl_s", [0, -5, 601])
def test_a_link_that_lives_too_long_is_not_minted(ttl_s: int) -> None:
    """Ten minutes to join are the most, and none is no link."""
    with pytest.raises(ConfigError, match="1 to 600"):
        auth.mint(KEY, "ada", Grants(), ttl_s, NOW_S)


def test_the_hand_signed_control_is_accepted() -> None:
    """Otherwise the refusals below could be for another reason."""
    assert auth.verify(KEY, forged(), NOW_S).subject == "ada"


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "jti", "aud"])
def test_each_claim_is_required(claim: str) -> None:
    """A token without an expiry would be good for ever; the others are as vital."""
    changed: Any = {claim: None}
    assert code_of(forged(**changed)) == "token_bad"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "x" * 5000,
        forged(key=bytes(64)),
        forged(algorithm="HS512"),
        forged(typ="JWT"),
        forged(iat=NOW_S + 3600, exp=NOW_S + 3700),
        forged(exp=NOW_S + 601),
        forged(sub=""),
        forged(grants={"passthrough": "yes"}),
        forged()[:-2],
        base64.urlsafe_b64encode(b"[" * 2900).decode() + ".e30.e30",
    ],
    ids=["empty", "rubbish", "huge", "key", "algorithm", "type", "future", "long", "nobody", "grants", "cut", "deep"],
)
def test_a_wrong_token_is_refused(token: str) -> None:
    """Whatever is wrong with it, the code is one and the token's content decides nothing."""
    assert code_of(token) == "token_bad"


def test_an_unsigned_token_is_refused() -> None:
    """`alg: none` is not in the pinned list."""
    unsigned = jwt.encode({"sub": "ada", "aud": auth.AUDIENCE}, key="", algorithm="none")
    assert code_of(unsigned) == "token_bad"


def test_a_token_for_another_service_is_refused_as_such() -> None:
    """The audience is checked, with a code of its own."""
    assert code_of(forged(aud="another")) == "token_wrong_audience"


def test_a_token_expires_with_a_small_leeway() -> None:
    """Clocks may differ by seconds, not more."""
    assert auth.verify(KEY, forged(), NOW_S + 60 + auth.LEEWAY_S - 1)
    assert code_of(forged(), now_s=NOW_S + 60 + auth.LEEWAY_S) == "token_expired"


def test_a_bearer_is_found_in_the_header_or_among_the_subprotocols() -> None:
    """Browsers can set only the latter on a WebSocket."""
    assert auth.bearer("Bearer abc") == "abc"
    assert auth.bearer("bearer  abc") == "abc"
    assert auth.bearer(None, ["mirage.v1", "bearer.a.b.c"]) == "a.b.c"


@pytest.mark.parametrize("authorization", [None, "", "Bearer ", "Basic abc"])
def test_a_request_without_a_token_is_told_so(authorization: str | None) -> None:
    """Also one whose token is empty or of another scheme."""
    with pytest.raises(Unauthorized) as caught:
        auth.bearer(authorization, ["mirage.v1", "bearer."])
    assert caught.value.code == "token_missing"
