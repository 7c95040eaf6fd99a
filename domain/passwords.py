"""Passwords: which are good enough, and hashes that verify. Blocking; a port runs it away from the event loop.

New hashes are argon2id with the parameters OWASP names first (19 MiB, two passes, one lane). bcrypt hashes of an older
service verify, and ask to be hashed anew.
"""

from dataclasses import dataclass

from passlib.context import CryptContext
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from domain.names import fold

MINIMUM_CHARACTERS = 8
MAXIMUM_CHARACTERS = 1024
COMMON_PASSWORDS = frozenset(FREQUENCY_LISTS["passwords"])

_CONTEXT = CryptContext(
    schemes=["argon2", "bcrypt"],
    deprecated=["bcrypt"],
    argon2__type="ID",
    argon2__memory_cost=19456,
    argon2__time_cost=2,
    argon2__parallelism=1,
)
_NOBODYS_HASH = _CONTEXT.hash("a password that no account has")


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a password is the right one, and whether its hash should be renewed."""

    is_right: bool
    is_outdated: bool = False


def hash_password(password: str) -> str:
    """A hash under the current scheme, with its salt and parameters inside."""
    hashed: str = _CONTEXT.hash(password)
    return hashed


def verify_password(password: str, hashed: str | None) -> Verification:
    """Compare a password with a hash.

    None, for an account that does not exist, costs as much as a wrong password. What a scheme cannot take (over 72
    bytes or NUL in bcrypt), and what nobody can have set, is a wrong password.
    """
    if not _is_hashable(password):
        password, hashed = "", None
    try:
        is_right = _CONTEXT.verify(password, hashed or _NOBODYS_HASH)
    except ValueError:
        is_right = False
    if hashed is None or not is_right:
        return Verification(is_right=False)
    return Verification(is_right=True, is_outdated=_CONTEXT.needs_update(hashed))


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
