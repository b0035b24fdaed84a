"""The configuration: one frozen value, read once at start-up and handed down as an argument.

Environment variables `MIRAGE_<FIELD>` win over a TOML file, which wins over the defaults below. An unknown key, a value
out of bounds or two fields that contradict each other stop the process with a sentence. `mirage_rtc.__main__` calls
`load`; nothing else in this program reads the environment.
"""

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from mirage_rtc.errors import ConfigError

PREFIX = "MIRAGE_"
SECRETS = frozenset({"turn_secret"})

Host = Annotated[str, Meta(min_length=1, max_length=253)]
Text = Annotated[str, Meta(min_length=1, max_length=512)]
Secret = Annotated[str, Meta(min_length=16, max_length=256)]


def _default_data_dir() -> Path:
    return Path.home() / ".local" / "share" / "mirage"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything an operator may set. Each field carries its bounds and one sentence."""

    host: Annotated[Host, Meta(description="Address to listen on. Beyond loopback it needs TLS or a proxy.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port of the page and the signalling; 0 takes any.")] = (
        8080
    )
    data_dir: Annotated[Path, Meta(description="Where the signing key, the models and the receipts live (0700).")] = (
        msgspec.field(default_factory=_default_data_dir)
    )
    offline: Annotated[bool, Meta(description="Never fetch anything from a network, not even at start-up.")] = False
    tls_cert: Annotated[Path | None, Meta(description="Certificate chain, PEM. Goes with `tls_key`.")] = None
    tls_key: Annotated[Path | None, Meta(description="Private key of the certificate, PEM.")] = None
    behind_proxy: Annotated[bool, Meta(description="A reverse proxy in front of Mirage speaks TLS to browsers.")] = (
        False
    )
    allowed_origins: Annotated[
        tuple[Text, ...], Meta(max_length=32, description="Origins that may connect, beside the server's own page.")
    ] = ()
    public_url: Annotated[
        Text | None, Meta(description="The address people open, when it is not host and port: a proxy's, a name.")
    ] = None
    max_calls: Annotated[int, Meta(ge=1, le=256, description="Calls served at once; the next one is told to wait.")] = 4
    max_call_minutes: Annotated[
        int, Meta(ge=0, le=1440, description="A call ends after so many minutes; 0 sets no end.")
    ] = 0
    max_faces: Annotated[
        int, Meta(ge=1, le=8, description="Swap up to so many of the largest faces; every other face is blurred.")
    ] = 1
    max_portraits: Annotated[int, Meta(ge=0, le=32, description="Uploaded portraits a person may hold at once.")] = 4
    picture_max_bytes: Annotated[
        int, Meta(ge=65_536, le=67_108_864, description="Largest portrait file accepted, in bytes.")
    ] = 10_485_760
    picture_max_pixels: Annotated[
        int, Meta(ge=65_536, le=100_000_000, description="Largest portrait accepted, in pixels, read from its header.")
    ] = 40_000_000
    fail_policy: Annotated[
        Literal["card", "blur"], Meta(description="What is shown after 500 ms without a swapped frame.")
    ] = "card"
    token_ttl_s: Annotated[int, Meta(ge=10, le=600, description="How long a printed link can be used to join.")] = 600
    resume_grace_s: Annotated[
        int, Meta(ge=5, le=600, description="How long a call waits for its person to come back after a disconnect.")
    ] = 60
    turn_urls: Annotated[
        tuple[Text, ...], Meta(max_length=8, description="TURN servers handed to callers, such as turn:host:3478.")
    ] = ()
    turn_secret: Annotated[
        Secret | None, Meta(description="The static-auth-secret shared with coturn; see turn/README.md.")
    ] = None
    turn_ttl_s: Annotated[int, Meta(ge=60, le=86_400, description="Lifetime of the TURN credentials handed out.")] = 300
    advertise_ips: Annotated[
        tuple[Text, ...], Meta(max_length=8, description="Public addresses of this host, when it is behind a 1:1 NAT.")
    ] = ()
    udp_port_min: Annotated[int, Meta(ge=0, le=65535, description="Lowest UDP port for media; 0 takes any.")] = 0
    udp_port_max: Annotated[int, Meta(ge=0, le=65535, description="Highest UDP port for media; 0 takes any.")] = 0
    allow_private_peers: Annotated[
        bool, Meta(description="Send media to private and loopback addresses; switch it off on a public host.")
    ] = True
    video_codec: Annotated[
        Literal["h264", "vp8"], Meta(description="Codec preferred for the returned picture; the other is the fallback.")
    ] = "h264"
    video_encoder: Annotated[
        Literal["auto", "x264", "nvenc"],
        Meta(description="What encodes H.264; auto is NVENC where it really encodes, else x264."),
    ] = "auto"
    video_kbps_start: Annotated[int, Meta(ge=100, le=20_000, description="Bitrate a call's picture starts at.")] = 1200
    video_kbps_max: Annotated[int, Meta(ge=100, le=20_000, description="Bitrate a call's picture never exceeds.")] = (
        2500
    )
    face_engine: Annotated[
        Literal["auto", "embedded", "neural"],
        Meta(description="What swaps faces; auto is neural where its weights are fetched and a GPU runs them."),
    ] = "auto"
    gpu_runtime: Annotated[
        Literal["cuda", "tensorrt"],
        Meta(description="What runs the neural engine's networks on a GPU; tensorrt is faster, its first start slow."),
    ] = "cuda"
    face_swapper: Annotated[
        Literal["auto", "inswapper", "hyperswap"],
        Meta(description="The neural engine's swapper; auto is InSwapper, or HyperSwap where only that is fetched."),
    ] = "auto"
    face_masks: Annotated[
        Literal["off", "occlusion", "mouth", "both"],
        Meta(
            description="What the neural engine leaves of your own picture where its network is fetched: what is held "
            "before the face, the inside of the mouth."
        ),
    ] = "occlusion"
    voice_engine: Annotated[
        Literal["auto", "embedded", "neural"],
        Meta(description="Which voices there are; auto offers imported ones where a GPU runs them, neural anywhere."),
    ] = "auto"
    enhancer: Annotated[
        Literal["auto", "off", "codeformer", "gpen-256", "gfpgan"],
        Meta(
            description="What restores faces that the neural engine swapped; auto is all that are fetched and fast "
            "here, never on a CPU."
        ),
    ] = "auto"
    hop_ms: Annotated[
        Literal[40, 60, 80, 100, 120, 160, 200],
        Meta(description="Step of built-in voices, and of imported ones at first: when slow, those grow it."),
    ] = 40
    face_lanes: Annotated[int, Meta(ge=1, le=32, description="Processes that swap faces.")] = 1
    voice_lanes: Annotated[int, Meta(ge=1, le=32, description="Processes that convert voices.")] = 1
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severity logged; never personal data.")
    ] = "info"
    codeformer_fidelity: Annotated[
        float,
        Meta(
            ge=0, le=1, description="Identity (1) against sharpness (0) of CodeFormer; used by the neural engine only."
        ),
    ] = 0.75
    inswapper_url: Annotated[
        Text | None, Meta(description="Another source of the InSwapper weights; used by the neural engine only.")
    ] = None
    codeformer_url: Annotated[
        Text | None, Meta(description="Another source of the CodeFormer weights; used by the neural engine only.")
    ] = None

    def __repr__(self) -> str:
        """Every field; a secret that is set shows as ***."""
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"Config({fields})"

    def __rich_repr__(self) -> "list[tuple[str, Any]]":
        """What rich prints, in tracebacks too: secrets stay masked."""
        pairs = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return [(name, "***" if name in SECRETS and value else value) for name, value in pairs]

    @property
    def tls(self) -> bool:
        """Whether Mirage itself speaks TLS."""
        return self.tls_cert is not None

    def page_url(self, port: int | None = None) -> str:
        """The address of the page without a trailing slash; `port` is the one really bound."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        bracketed = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{bracketed}:{port or self.port}"


def load(toml: Path | None, environ: Mapping[str, str]) -> Config:
    """Read `environ` over `toml` over the defaults.

    Raises `ConfigError` with a sentence that names the key at fault and never repeats a secret.
    """
    given = {field: (value, f"`{field}` in {toml}") for field, value in _read_toml(toml).items()}
    given |= {field: (value, PREFIX + field.upper()) for field, value in _read_environ(environ).items()}
    config = Config(**{field: _convert(field, value, origin) for field, (value, origin) in given.items()})
    check(config)
    return config


def load_process(toml: Path | None, overrides: Mapping[str, str]) -> Config:
    """Read this process's environment, with `overrides` (command-line options, by environment name) on top."""
    return load(toml, {**os.environ, **overrides})


def check(config: Config) -> None:
    """Refuse fields that contradict each other, with a `ConfigError`."""
    for wrong, sentence in _contradictions(config):
        if wrong:
            raise ConfigError("config_contradiction", sentence)


def describe() -> list[tuple[str, str, str]]:
    """(environment name, default as text, sentence) of every field, in order: the README's table."""
    fields = msgspec.structs.fields(Config)
    return [(PREFIX + field.name.upper(), _default_text(field), _sentence(field.type)) for field in fields]


def is_loopback(host: str) -> bool:
    """Whether listening on `host` is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _contradictions(config: Config) -> list[tuple[bool, str]]:
    exposed = not is_loopback(config.host) and not config.tls and not config.behind_proxy
    one_of_pair = (config.tls_cert is None) != (config.tls_key is None)
    low, high = config.udp_port_min, config.udp_port_max
    return [
        (one_of_pair, "MIRAGE_TLS_CERT and MIRAGE_TLS_KEY go together: set both, or neither."),
        (
            exposed,
            f"Mirage does not listen on {config.host} in plain HTTP: browsers give no camera to plain HTTP beyond this "
            "machine. Set MIRAGE_TLS_CERT and MIRAGE_TLS_KEY, or say --behind-proxy when a proxy speaks TLS.",
        ),
        ((low == 0) != (high == 0), "MIRAGE_UDP_PORT_MIN and MIRAGE_UDP_PORT_MAX go together: set both, or neither."),
        (low > high, "MIRAGE_UDP_PORT_MIN is above MIRAGE_UDP_PORT_MAX: swap them."),
        (config.video_kbps_start > config.video_kbps_max, "MIRAGE_VIDEO_KBPS_START is above MIRAGE_VIDEO_KBPS_MAX."),
        (bool(config.turn_urls) != bool(config.turn_secret), "MIRAGE_TURN_URLS and MIRAGE_TURN_SECRET go together."),
        (
            any(not url.startswith(("turn:", "turns:", "stun:")) for url in config.turn_urls),
            "MIRAGE_TURN_URLS holds something that does not start with turn:, turns: or stun:.",
        ),
        (
            config.public_url is not None and not config.public_url.startswith(("http://", "https://")),
            "MIRAGE_PUBLIC_URL must start with https:// (or http:// on this machine).",
        ),
    ]


def _read_toml(toml: Path | None) -> dict[str, Any]:
    if toml is None:
        return {}
    try:
        values = tomllib.loads(toml.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("config_unreadable", f"{toml} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # bad TOML and bad UTF-8
        raise ConfigError("config_invalid", f"{toml} is not TOML: {error}.") from None
    for key in values:
        if key not in Config.__struct_fields__:
            raise ConfigError("config_unknown", f"{toml} has a key `{key}` that Mirage does not know.{_hint(key)}")
    return values


def _read_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Fields set in `environ`; an empty variable counts as unset."""
    found: dict[str, str] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or value == "":
            continue
        field = name.removeprefix(PREFIX).lower()
        if field not in Config.__struct_fields__ or name != PREFIX + field.upper():
            raise ConfigError(
                "config_unknown", f"{name} is set, and Mirage knows no such variable.{_hint(field, PREFIX)}"
            )
        found[field] = value
    return found


def _hint(key: str, prefix: str = "") -> str:
    close = difflib.get_close_matches(key.lower(), Config.__struct_fields__, n=1, cutoff=0.6)
    if not close:
        return " The README lists them all."
    return f" Did you mean {prefix + close[0].upper() if prefix else close[0]}?"


def _convert(field: str, value: Any, origin: str) -> Any:
    """One value as its field's type; text from the environment is split at commas where the field is a tuple."""
    wanted = Config.__annotations__[field]
    default = next(item for item in msgspec.structs.fields(Config) if item.name == field).default
    if isinstance(value, str) and isinstance(default, tuple):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, wanted, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigError("config_invalid", f"{origin} is refused: {error}.{_accepted(wanted)}") from None


def _accepted(wanted: Any) -> str:
    """The values a switch or a choice takes, as a sentence."""
    bare = get_args(wanted)[0]
    if bare is bool:
        return " Write 1 or 0."
    return f" Write one of {', '.join(map(str, get_args(bare)))}." if get_origin(bare) is Literal else ""


def _path(wanted: type[Any], value: Any) -> Any:
    """msgspec's hook for the one type it does not know."""
    if wanted is Path and isinstance(value, str):
        return Path(value).expanduser().absolute()
    raise msgspec.ValidationError(f"Expected `{wanted.__name__}`")


def _default_text(field: msgspec.structs.FieldInfo) -> str:
    if field.default_factory is _default_data_dir:
        return "~/.local/share/mirage"
    if isinstance(field.default, bool):
        return str(int(field.default))
    return "" if field.default in (None, ()) else str(field.default)


def _sentence(annotated: Any) -> str:
    return next(str(meta.description) for meta in annotated.__metadata__ if meta.description)
