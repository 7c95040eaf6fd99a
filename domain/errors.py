"""Every refusal the service can give: one class per fact, with a stable code and typed details.

A refusal is the service saying no; anything else that is raised is a fault. The edge turns refusals into GraphQL
problems, GraphQL errors or problem+json; nothing here knows how.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self


class Kind(StrEnum):
    """What a refusal is about; the edge derives status codes from it."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"


@dataclass(eq=False, kw_only=True)
class Refusal(Exception):  # noqa: N818 - the design's word for it
    """The service says no. `message` is a sentence for a person, `path` leads into the mutation's input."""

    code: ClassVar[str]
    kind: ClassVar[Kind]

    message: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


class Refusals(Exception):  # noqa: N818 - several of them
    """Several refusals of one request, told at once."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("; ".join(map(str, self.refusals)))


@dataclass(eq=False, kw_only=True)
class InvalidInput(Refusal):
    """A value does not have the form that is asked for."""

    code = "BAD_USER_INPUT"
    kind = Kind.INVALID


@dataclass(eq=False, kw_only=True)
class NotSignedIn(Refusal):
    """Only somebody who is signed in may do this."""

    code = "UNAUTHENTICATED"
    kind = Kind.UNAUTHENTICATED
    message: str = "Sign in first."


@dataclass(eq=False, kw_only=True)
class BadCredential(Refusal):
    """The access token or key is malformed, expired or revoked."""

    code = "UNAUTHENTICATED"
    kind = Kind.UNAUTHENTICATED
    message: str = "The access token is not valid, or no longer valid."


@dataclass(eq=False, kw_only=True)
class ExpiredCredential(BadCredential):
    """The access token was valid once; sign in again."""

    message: str = "The access token has expired."


@dataclass(eq=False, kw_only=True)
class WrongPassword(Refusal):
    """No such account, a disabled one, or another password: one answer for all three."""

    code = "CREDENTIALS_WRONG"
    kind = Kind.UNAUTHENTICATED
    message: str = "The account or the password is wrong."


@dataclass(eq=False, kw_only=True)
class RefreshTokenInvalid(Refusal):
    """The refresh token was never given out, was used before, or its session has ended: sign in again."""

    code = "REFRESH_TOKEN_INVALID"
    kind = Kind.UNAUTHENTICATED
    message: str = "The refresh token is not valid, or no longer valid. Sign in again."


@dataclass(eq=False, kw_only=True)
class MailTokenInvalid(Refusal):
    """The token was never sent by mail for this, was used before, has expired, or a newer one was sent."""

    code = "MAIL_TOKEN_INVALID"
    kind = Kind.UNAUTHENTICATED
    message: str = "This token is not valid, or no longer valid. Ask for a new mail."


@dataclass(eq=False, kw_only=True)
class ChallengeInvalid(Refusal):
    """The challenge was never given out, was met, or is over: after five minutes, or five wrong codes."""

    code = "CHALLENGE_INVALID"
    kind = Kind.UNAUTHENTICATED
    message: str = "This login is over. Log in again."


@dataclass(eq=False, kw_only=True)
class CodeWrong(Refusal):
    """The code of the second factor is wrong, or was used before."""

    code = "CODE_WRONG"
    kind = Kind.UNAUTHENTICATED
    message: str = "The code is wrong, or was used before."


@dataclass(eq=False, kw_only=True)
class TwoFactorOn(Refusal):
    """The account has a second factor already."""

    code = "TWO_FACTOR_ON"
    kind = Kind.CONFLICT
    message: str = "Two-factor is on already."


@dataclass(eq=False, kw_only=True)
class TwoFactorOff(Refusal):
    """The account has no second factor, or none that waits to be confirmed."""

    code = "TWO_FACTOR_OFF"
    kind = Kind.CONFLICT
    message: str = "Two-factor is off."


@dataclass(eq=False, kw_only=True)
class Forbidden(Refusal):
    """The viewer can see the thing but may not do this to it."""

    code = "FORBIDDEN"
    kind = Kind.FORBIDDEN


@dataclass(eq=False, kw_only=True)
class ScopeMissing(Refusal):
    """The API key is not allowed this; `scope` is what it would need."""

    code = "FORBIDDEN"
    kind = Kind.FORBIDDEN
    scope: str

    @classmethod
    def of(cls, scope: str) -> Self:
        """The refusal that names the scope."""
        return cls(message=f"The API key lacks the scope `{scope}`.", scope=scope)


@dataclass(eq=False, kw_only=True)
class NotForKeys(Refusal):
    """No API key may do this, whatever its scopes: keys, passwords, sessions and second factors are a person's."""

    code = "FORBIDDEN"
    kind = Kind.FORBIDDEN
    message: str = "An API key may not do this: sign in."


@dataclass(eq=False, kw_only=True)
class AdministratorsOnly(Refusal):
    """Only administrators may ask for this or do it, whatever it is about."""

    code = "FORBIDDEN"
    kind = Kind.FORBIDDEN
    message: str = "Only administrators may do this."


@dataclass(eq=False, kw_only=True)
class NotFound(Refusal):
    """Absent, or not the viewer's to see: the two look the same."""

    code = "NOT_FOUND"
    kind = Kind.NOT_FOUND


@dataclass(eq=False, kw_only=True)
class NameTaken(Refusal):
    """Somebody has this username or email already."""

    code = "NAME_TAKEN"
    kind = Kind.CONFLICT
    name: str


@dataclass(eq=False, kw_only=True)
class PasswordTooWeak(Refusal):
    """The password breaks one or more rules, each told in `reasons`."""

    code = "PASSWORD_TOO_WEAK"
    kind = Kind.INVALID
    message: str = "The password is too weak."
    reasons: tuple[str, ...]


@dataclass(eq=False, kw_only=True)
class RevisionConflict(Refusal):
    """The record has changed since the client read it."""

    code = "CONFLICT"
    kind = Kind.CONFLICT
    revision: int


@dataclass(eq=False, kw_only=True)
class IdempotencyKeyReused(Refusal):
    """Another request of the same user was sent under this idempotency key within a day."""

    code = "IDEMPOTENCY_KEY_REUSED"
    kind = Kind.CONFLICT


@dataclass(eq=False, kw_only=True)
class TooManyKeys(Refusal):
    """The user has as many API keys as one may have."""

    code = "TOO_MANY_KEYS"
    kind = Kind.CONFLICT
    maximum: int


@dataclass(eq=False, kw_only=True)
class TooManyExports(Refusal):
    """As many exports of the user have not ended as one may have."""

    code = "TOO_MANY_EXPORTS"
    kind = Kind.CONFLICT
    maximum: int


@dataclass(eq=False, kw_only=True)
class RotationUnderWay(Refusal):
    """The API key was rotated a while ago, and the secret before is still good for the time that it was given."""

    code = "ROTATION_UNDER_WAY"
    kind = Kind.CONFLICT
    message: str = (
        "The key was rotated already, and its former secret is still good. Rotate with 0 seconds to end both."
    )
    retry_after_seconds: int


@dataclass(eq=False, kw_only=True)
class LastOwner(Refusal):
    """A workspace needs an owner who can sign in, and this is the last one."""

    code = "LAST_OWNER"
    kind = Kind.CONFLICT
    message: str = "The workspace would be left without an owner: make somebody else one first."


@dataclass(eq=False, kw_only=True)
class LastAdministrator(Refusal):
    """The service needs an administrator who can sign in, and this is the last one."""

    code = "LAST_ADMINISTRATOR"
    kind = Kind.CONFLICT
    message: str = "The service would be left without an administrator: make somebody else one first."


@dataclass(eq=False, kw_only=True)
class PersonalWorkspace(Refusal):
    """A personal workspace has exactly its person, and lasts as long as the account."""

    code = "PERSONAL_WORKSPACE"
    kind = Kind.CONFLICT
    message: str = "A personal workspace has exactly its person, and lasts as long as the account."


@dataclass(eq=False, kw_only=True)
class WorkspaceNotEmpty(Refusal):
    """The workspace has files, and it was not said that they may be purged."""

    code = "WORKSPACE_NOT_EMPTY"
    kind = Kind.CONFLICT
    files: int


@dataclass(eq=False, kw_only=True)
class OwnsWorkspaces(Refusal):
    """The user is the only owner of shared workspaces; they have to be handed on first."""

    code = "OWNS_WORKSPACES"
    kind = Kind.CONFLICT
    names: tuple[str, ...]


@dataclass(eq=False, kw_only=True)
class FileTooLarge(Refusal):
    """The file is larger than the limit in bytes."""

    code = "FILE_TOO_LARGE"
    kind = Kind.TOO_LARGE
    limit: int


@dataclass(eq=False, kw_only=True)
class FileDamaged(Refusal):
    """The bytes of the file are lost, or not those that came in; they are given to nobody until they are restored."""

    code = "FILE_DAMAGED"
    kind = Kind.UNAVAILABLE
    message: str = "The bytes of this file are damaged or lost. It has to be restored by whoever operates the service."


@dataclass(eq=False, kw_only=True)
class ExtensionNotAllowed(Refusal):
    """The name's extension is blocked, absent or not on the list."""

    code = "EXTENSION_NOT_ALLOWED"
    kind = Kind.INVALID
    extension: str
    allowed: tuple[str, ...]


@dataclass(eq=False, kw_only=True)
class MediaTypeNotAllowed(Refusal):
    """The bytes are not what the name says they are."""

    code = "MEDIA_TYPE_NOT_ALLOWED"
    kind = Kind.INVALID
    declared: str | None
    detected: str
    allowed: tuple[str, ...]


@dataclass(eq=False, kw_only=True)
class DigestMismatch(Refusal):
    """The SHA-256 of the received bytes is not the one the client named."""

    code = "DIGEST_MISMATCH"
    kind = Kind.INVALID
    expected: str
    actual: str


@dataclass(eq=False, kw_only=True)
class RateLimited(Refusal):
    """More was asked for than a limit allows in its window; `policy` names the limit."""

    code = "RATE_LIMITED"
    kind = Kind.RATE_LIMITED
    policy: str
    limit: int
    window_seconds: int
    retry_after_seconds: int


@dataclass(eq=False, kw_only=True)
class Unavailable(Refusal):
    """Something the request needs is out of order for now: a full disk, a store or a database that does not answer."""

    code = "UNAVAILABLE"
    kind = Kind.UNAVAILABLE
    retry_after_seconds: int = 10
