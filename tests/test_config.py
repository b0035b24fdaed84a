"""The configuration: precedence, bounds, refusals in words, secrets."""

from pathlib import Path

import msgspec
import pytest

from mirage_rtc.config import Config, describe, is_loopback, load
from mirage_rtc.errors import ConfigError

SECRET = "0123456789abcdef0123456789abcdef"


def refusal(environ: dict[str, str], toml: Path | None = None) -> str:
    """The sentence with which a configuration is refused."""
    with pytest.raises(ConfigError) as caught:
        load(toml, environ)
    return caught.value.sentence


def written(folder: Path, text: str) -> Path:
    """A TOML file that holds `text`."""
    path = folder / "mirage.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_set_gives_the_defaults_of_the_readme() -> None:
    """Without file and variables Mirage listens on loopback, port 8080, one face, the card, hop 40."""
    config = load(None, {})
    assert (config.host, config.port, config.max_faces, config.fail_policy) == ("127.0.0.1", 8080, 1, "card")
    assert (config.hop_ms, config.token_ttl_s, config.codeformer_fidelity) == (40, 600, 0.75)


def test_the_environment_wins_over_toml_and_toml_over_defaults(tmp_path: Path) -> None:
    """A variable overrides the same key of the file; the file's other keys stand."""
    toml = written(tmp_path, 'port = 9000\nmax_faces = 2\nturn_urls = ["turn:a:3478"]\n')
    config = load(toml, {"MIRAGE_PORT": "9001", "MIRAGE_TURN_SECRET": SECRET})
    assert (config.port, config.max_faces, config.turn_urls, config.max_calls) == (9001, 2, ("turn:a:3478",), 4)


def test_text_becomes_the_type_of_its_field() -> None:
    """Numbers, switches, choices, lists and paths are read from plain text; an empty variable counts as unset."""
    config = load(
        None,
        {
            "MIRAGE_OFFLINE": "1",
            "MIRAGE_HOP_MS": "60",
            "MIRAGE_CODEFORMER_FIDELITY": "0.5",
            "MIRAGE_ALLOWED_ORIGINS": "https://a.example, https://b.example",
            "MIRAGE_DATA_DIR": "~/mirage",
            "MIRAGE_HOST": "",
        },
    )
    assert (config.offline, config.hop_ms, config.codeformer_fidelity) == (True, 60, 0.5)
    assert config.allowed_origins == ("https://a.example", "https://b.example")
    assert config.data_dir == Path.home() / "mirage"
    assert config.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MIRAGE_PORT", "70000", "<= 65535"),
        ("MIRAGE_PORT", "eighty", "Expected `int`"),
        ("MIRAGE_HOP_MS", "50", "40, 60, 80"),
        ("MIRAGE_FAIL_POLICY", "raw", "card, blur"),
        ("MIRAGE_OFFLINE", "perhaps", "Write 1 or 0"),
        ("MIRAGE_TOKEN_TTL_S", "601", "<= 600"),
        ("MIRAGE_CODEFORMER_FIDELITY", "1.5", "<= 1"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_name_and_what_is_accepted(
    variable: str, value: str, words: str
) -> None:
    """The sentence names the variable and the bound."""
    sentence = refusal({variable: value})
    assert variable in sentence
    assert words in sentence


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    """A typing error never passes silently."""
    assert "Did you mean MIRAGE_PORT?" in refusal({"MIRAGE_PROT": "9"})
    assert "README" in refusal({"MIRAGE_ZZZZZZ": "9"})


def test_an_unknown_key_of_the_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    """The same in TOML, where names are in lower case."""
    assert "Did you mean max_calls?" in refusal({}, written(tmp_path, "max_cals = 3\n"))


@pytest.mark.parametrize("text", ["port = ", "port = 1\nport = 2\n"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    """A value that is missing, a key given twice: the reader is told which file."""
    assert "is not TOML" in refusal({}, written(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A named file that is not there is an error, not an empty file."""
    assert "cannot be read" in refusal({}, tmp_path / "none.toml")


def test_other_programs_variables_are_left_alone() -> None:
    """Only names that start with MIRAGE_ are read."""
    assert load(None, {"PORT": "1", "HOME": "/x"}).port == 8080


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "mirage.example"])
def test_listening_beyond_loopback_needs_tls_or_a_proxy(host: str) -> None:
    """Plain HTTP beyond this machine is refused, because browsers give it no camera."""
    assert "browsers give no camera to plain HTTP" in refusal({"MIRAGE_HOST": host})
    assert load(None, {"MIRAGE_HOST": host, "MIRAGE_BEHIND_PROXY": "1"}).host == host
    assert load(None, {"MIRAGE_HOST": host, "MIRAGE_TLS_CERT": "c.pem", "MIRAGE_TLS_KEY": "k.pem"}).tls


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"MIRAGE_TLS_CERT": "c.pem"}, "MIRAGE_TLS_KEY go together"),
        ({"MIRAGE_UDP_PORT_MIN": "5000"}, "MIRAGE_UDP_PORT_MAX go together"),
        ({"MIRAGE_UDP_PORT_MIN": "6000", "MIRAGE_UDP_PORT_MAX": "5000"}, "swap them"),
        ({"MIRAGE_VIDEO_KBPS_START": "9000"}, "MIRAGE_VIDEO_KBPS_MAX"),
        ({"MIRAGE_TURN_URLS": "turn:a"}, "MIRAGE_TURN_SECRET"),
        ({"MIRAGE_TURN_URLS": "a:3478", "MIRAGE_TURN_SECRET": SECRET}, "turn:"),
        ({"MIRAGE_PUBLIC_URL": "mirage.example"}, "https://"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(environ: dict[str, str], words: str) -> None:
    """Each relation has its sentence."""
    assert words in refusal(environ)


def test_a_secret_shows_in_no_representation_and_no_refusal() -> None:
    """Neither repr, nor rich, nor the sentence of a refused secret repeats it."""
    config = load(None, {"MIRAGE_TURN_URLS": "turn:a", "MIRAGE_TURN_SECRET": SECRET})
    assert config.turn_secret == SECRET
    assert SECRET not in repr(config)
    assert SECRET not in str(config.__rich_repr__())
    assert "short" not in refusal({"MIRAGE_TURN_URLS": "turn:a", "MIRAGE_TURN_SECRET": "short"}).split(": ", 1)[1]


def test_the_value_is_frozen() -> None:
    """Nothing changes a configuration after it was read."""
    with pytest.raises(AttributeError):
        load(None, {}).port = 1  # type: ignore[misc]


def test_every_field_has_a_sentence() -> None:
    """The README's table is made of these."""
    rows = describe()
    assert [name for name, _, _ in rows] == [f"MIRAGE_{field.name.upper()}" for field in msgspec.structs.fields(Config)]
    assert all(sentence.endswith(".") and len(sentence) > 20 for _, _, sentence in rows)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"MIRAGE_HOST": "::1", "MIRAGE_PORT": "9"}, "http://[::1]:9"),
        ({"MIRAGE_HOST": "0.0.0.0", "MIRAGE_TLS_CERT": "c", "MIRAGE_TLS_KEY": "k"}, "https://127.0.0.1:8080"),
        ({"MIRAGE_PUBLIC_URL": "https://call.example/"}, "https://call.example"),
    ],
)
def test_the_page_has_an_address_that_can_be_opened(environ: dict[str, str], url: str) -> None:
    """The link is made of it: never 0.0.0.0, with brackets for IPv6, the public address first."""
    assert load(None, environ).page_url() == url


def test_loopback_is_known_by_address_not_by_spelling() -> None:
    """All of 127/8 and ::1 are this machine; a name that is not an address is not."""
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "localhost"]))
    assert not any(map(is_loopback, ["10.0.0.1", "::", "example.org"]))
