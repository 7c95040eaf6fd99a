"""What an API key is to be good for: judged before it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.address_ranges import canonical_range
from domain.errors import Forbidden, InvalidInput
from domain.names import clean_line
from domain.scopes import Scope
from domain.viewer import Viewer

NAME_CHARACTERS = 100
MAXIMUM_ADDRESSES = 20
MAXIMUM_GIVEN = 100


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a key is called and allowed. None for `expires_at`: no end; no addresses: from anywhere."""

    name: str
    scopes: Sequence[str]
    expires_at: datetime | None = None
    addresses: Sequence[str] = ()


def judged_name(raw: str) -> str:
    """The name of a key as it is kept. Raises InvalidInput."""
    try:
        return clean_line(raw, "name", NAME_CHARACTERS)
    except InvalidInput as refusal:
        refusal.path = ("name",)
        raise


def judged_scopes(viewer: Viewer, given: Sequence[str]) -> list[str]:
    """The scopes of a key as they are kept, each once. Raises InvalidInput, and Forbidden for more than the viewer."""
    scopes = [scope for scope in Scope if scope in given]
    if not scopes or len(given) > MAXIMUM_GIVEN or not set(Scope).issuperset(given):
        known = ", ".join(Scope)
        raise InvalidInput(message=f"Give one or more of the scopes: {known}.", path=("scopes",))
    if Scope.ADMIN in scopes and not viewer.is_admin:
        raise Forbidden(message="Only administrators have keys with the scope admin.", path=("scopes",))
    return [scope.value for scope in scopes]


def judged_end(expires_at: datetime | None, now: datetime) -> datetime | None:
    """When a key ends. Raises InvalidInput for a time that is over."""
    if expires_at is not None and expires_at <= now:
        raise InvalidInput(message="A key must end in the future.", path=("expiresAt",))
    return expires_at


def judged_addresses(given: Sequence[str]) -> list[str]:
    """The address ranges of a key as they are kept, each once. Raises InvalidInput."""
    if len(given) > MAXIMUM_ADDRESSES:
        message = f"A key has at most {MAXIMUM_ADDRESSES} address ranges, not {len(given)}."
        raise InvalidInput(message=message, path=("addresses",))
    try:
        return list(dict.fromkeys(map(canonical_range, given)))
    except InvalidInput as refusal:
        refusal.path = ("addresses",)
        raise
