"""Keys: one secret, from the settings or kept in the data folder, and a separate key derived from it per purpose."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.settings import MINIMUM_SECRET_BYTES, Settings
from api.variables import SettingsError, variable_of

ACCESS_TOKENS = "cairn/access-tokens/v1"
SIGNED_URLS = "cairn/signed-urls/v1"
KEY_BYTES = 32
FILE_NAME = "secret"


def derive_key(secret: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for this purpose alone: HKDF-SHA256 (RFC 5869), no salt, the purpose as its info."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)


def secret_of(settings: Settings) -> bytes:
    """The secret that all keys are derived from.

    In development without one, the secret kept in the data folder, made there first where it is missing. Raises
    SettingsError when that folder cannot be used.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    path = settings.data_folder / FILE_NAME
    try:
        secret = _kept(path)
    except OSError as fault:
        problem = f"{variable_of('data_folder')}: {path} cannot be used: {fault.strerror}"
        raise SettingsError([problem]) from fault
    if len(secret) < MINIMUM_SECRET_BYTES:
        raise SettingsError([f"{variable_of('data_folder')}: {path} holds no secret; without it a new one is made"])
    return secret


def _kept(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written beside its place and then linked there: of two processes that start at once one wins, and the other
    # never reads half a secret.
    draft = path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_urlsafe(48).encode())
            stream.flush()
            os.fsync(stream.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_bytes()
