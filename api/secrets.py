"""Keys: secrets from the settings, or one kept in the data folder, and a separate key derived from each per purpose.

Of several the first is for what is made now, and all are for what was made before.
"""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.settings import MINIMUM_SECRET_BYTES, Settings, secrets_in
from api.variables import SettingsError, variable_of
from domain.tokens import TokenKey, shared_key, signing_keys

ACCESS_TOKENS = "cairn/access-tokens/v1"
SIGNED_URLS = "cairn/signed-urls/v1"
SEALS = "cairn/seals/v1"
KEY_BYTES = 32
FILE_NAME = "secret"


def derive_key(secret: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for this purpose alone: HKDF-SHA256 (RFC 5869), no salt, the purpose as its info."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)


def secrets_of(settings: Settings) -> tuple[bytes, ...]:
    """The secrets that all other keys are derived from, in the operator's order.

    In development without one, the secret kept in the data folder, made there first where it is missing. Raises
    SettingsError when that folder cannot be used.
    """
    if settings.secret_key is not None:
        given = secrets_in(settings.secret_key.get_secret_value())
        return tuple(dict.fromkeys(secret.encode() for secret in given))
    path = settings.data_folder / FILE_NAME
    try:
        secret = _kept(path)
    except OSError as fault:
        problem = f"{variable_of('data_folder')}: {path} cannot be used: {fault.strerror}"
        raise SettingsError([problem]) from fault
    if len(secret) < MINIMUM_SECRET_BYTES:
        raise SettingsError([f"{variable_of('data_folder')}: {path} holds no secret; without it a new one is made"])
    return (secret,)


def token_keys(settings: Settings, given: tuple[bytes, ...]) -> tuple[TokenKey, ...]:
    """The keys of access tokens: Ed25519 ones first if there are any, then those derived from the given secrets.

    Raises SettingsError.
    """
    shared = [shared_key(derive_key(secret, ACCESS_TOKENS)) for secret in given]
    field = "signing_key" if settings.signing_key else "signing_key_file"
    try:
        pem = _signing_pem(settings)
        keys = {key.id: key for key in [*(() if pem is None else signing_keys(pem)), *shared]}
    except (ValueError, OSError) as fault:
        reason = f"cannot be read: {fault.strerror}" if isinstance(fault, OSError) else str(fault)
        raise SettingsError([f"{variable_of(field)}: {reason}"]) from fault
    return tuple(keys.values())


def _signing_pem(settings: Settings) -> str | None:
    if settings.signing_key is not None:
        # Where a variable has to be one line, PEM is written with "\\n".
        return settings.signing_key.get_secret_value().replace("\\n", "\n")
    return None if settings.signing_key_file is None else settings.signing_key_file.read_text("ascii", "replace")


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
