"""Passwords: which are good enough, and hashes that verify. Blocking; a port runs it away from the event loop.

New hashes are argon2id with the parameters OWASP names first (19 MiB, two passes, one lane). bcrypt hashes of an older
service, and hashes that took another memory, verify and ask to be hashed anew.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from passlib.context import CryptContext
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from domain.names import fold

MINIMUM_CHARACTERS = 8
MAXIMUM_CHARACTERS = 1024
COMMON_PASSWORDS = frozenset(FREQUENCY_LISTS["passwords"])
MEMORY_BYTES = 19 * 1024 * 1024
"""What a hash takes, and with it each guess. Whoever hands down less is a test."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a password is the right one, and whether its hash should be renewed."""

    is_right: bool
    is_outdated: bool = False


class _Scheme(NamedTuple):
    context: CryptContext
    nobodys_hash: str


@cache
def _scheme(memory_bytes: int) -> _Scheme:
    context = CryptContext(
        schemes=["argon2", "bcrypt"],
        deprecated=["bcrypt"],
        argon2__type="ID",
        argon2__memory_cost=memory_bytes // 1024,
        argon2__time_cost=2,
        argon2__parallelism=1,
    )
    # Made with the rest, so that nobody's first login takes longer than somebody's.
    return _Scheme(context, context.hash("a password that no account has"))


def hash_password(password: str, memory_bytes: int = MEMORY_BYTES) -> str:
    """A hash under the current scheme, with its salt and parameters inside."""
    hashed: str = _scheme(memory_bytes).context.hash(password)
    return hashed


def verify_password(password: str, hashed: str | None, memory_bytes: int = MEMORY_BYTES) -> Verification:
    """Compare a password with a hash.

    None, for an account that does not exist, costs as much as a wrong password. What a scheme cannot take (over 72
    bytes or NUL in bcrypt), and what nobody can have set, is a wrong password.
    """
    scheme = _scheme(memory_bytes)
    if not _is_hashable(password):
        password, hashed = "", None
    try:
        is_right = scheme.context.verify(password, hashed or scheme.nobodys_hash)
    except ValueError:
        is_right = False
    if hashed is None or not is_right:
        return Verification(is_right=False)
    return Verification(is_right=True, is_outdated=scheme.context.needs_update(hashed))


def weaknesses(password: str, username: str, email: str) -> tuple[str, ...]:
    """Every reason why this password is not good enough for this person, as sentences."""
    reasons = []
    if not MINIMUM_CHARACTERS <= len(password) <= MAXIMUM_CHARACTERS:
        reasons.append(f"Use {MINIMUM_CHARACTERS} to {MAXIMUM_CHARACTERS} characters.")
    if not _is_hashable(password[:MAXIMUM_CHARACTERS]):
        reasons.append("Leave out NUL and characters that are not Unicode text.")
    folded = fold(password[:MAXIMUM_CHARACTERS])
    if folded in COMMON_PASSWORDS:
        reasons.append("Choose one that is not among the most common passwords.")
    names = (username, email, email.partition("@")[0])
    if folded in {fold(name[:MAXIMUM_CHARACTERS]) for name in names} - {""}:
        reasons.append("Choose one that is not your username or email.")
    return tuple(reasons)


def _is_hashable(password: str) -> bool:
    return (
        len(password) <= MAXIMUM_CHARACTERS
        and "\0" not in password
        and not any("\ud800" <= character <= "\udfff" for character in password)
    )
