"""The one secret of an installation: 32 random bytes in the data directory, made on the first run.

Tokens and consent receipts each use a key derived from it, so that neither can be passed off as the other. Called by
`mirage_rtc.__main__` and the sub-commands.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from mirage_rtc.errors import ConfigError

FILE_NAME = "signing.key"
KEY_BYTES = 32


def load_or_create(data_dir: Path) -> bytes:
    """The installation's key; makes the directory (0700) and the key file (0600) when they are missing.

    Raises `ConfigError` "data_dir_unusable", or "signing_key_exposed" for a file that others may read.
    """
    path = data_dir / FILE_NAME
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        exposed = path.stat().st_mode & 0o077
        key = path.read_bytes()
    except OSError as error:
        sentence = f"The data directory {data_dir} cannot be used ({error.strerror}): set MIRAGE_DATA_DIR to another."
        raise ConfigError("data_dir_unusable", sentence) from None
    if exposed:
        raise ConfigError("signing_key_exposed", f"Others can read {path}: run `chmod 600 {path}`, or delete it.")
    if len(key) != KEY_BYTES:
        raise ConfigError("signing_key_damaged", f"{path} does not hold {KEY_BYTES} bytes: delete it for a new one.")
    return key


def derive(key: bytes, purpose: str) -> bytes:
    """A 32-byte key for one purpose: HMAC-SHA256 of its name, as in HKDF's expand step (RFC 5869)."""
    return hmac.digest(key, b"mirage/1 " + purpose.encode(), hashlib.sha256)


def _create(path: Path) -> None:
    """Write the whole key under another name first: a second process never reads half of one."""
    draft = path.with_name(f"{FILE_NAME}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # the other process won
    finally:
        draft.unlink()
