"""Refusals as GraphQL problems: one type per kind of details, and the table that leads from one to the other."""

from collections.abc import Awaitable, Callable
from enum import Enum
from functools import wraps
from typing import ParamSpec, Self, TypeVar

import strawberry

from domain import errors, upload_errors
from domain.errors import Refusal, Refusals
from schema.scalars import ByteCount


@strawberry.enum(description="What went wrong, for programs. New codes may be added.")
class ProblemCode(Enum):
    """The codes of the refusals that mutations tell as problems."""

    BAD_USER_INPUT = strawberry.enum_value("BAD_USER_INPUT", description="A value does not have the form asked for.")
    CREDENTIALS_WRONG = strawberry.enum_value("CREDENTIALS_WRONG", description="No such account, or another password.")
    REFRESH_TOKEN_INVALID = strawberry.enum_value(
        "REFRESH_TOKEN_INVALID", description="No such refresh token, one that was used, or its session has ended."
    )
    MAIL_TOKEN_INVALID = strawberry.enum_value(
        "MAIL_TOKEN_INVALID", description="No such token of a mail, one that was used, expired or replaced."
    )
    CHALLENGE_INVALID = strawberry.enum_value(
        "CHALLENGE_INVALID", description="The login took too long or too many attempts: log in again."
    )
    CODE_WRONG = strawberry.enum_value("CODE_WRONG", description="The code is wrong, or was used before.")
    TWO_FACTOR_ON = strawberry.enum_value("TWO_FACTOR_ON", description="Two-factor is on already.")
    TWO_FACTOR_OFF = strawberry.enum_value("TWO_FACTOR_OFF", description="Two-factor is off, or was not started.")
    PASSWORD_TOO_WEAK = strawberry.enum_value("PASSWORD_TOO_WEAK", description="The password breaks a rule.")
    NAME_TAKEN = strawberry.enum_value("NAME_TAKEN", description="Somebody has this name already.")
    NOT_FOUND = strawberry.enum_value("NOT_FOUND", description="Absent, or not yours to see.")
    FORBIDDEN = strawberry.enum_value("FORBIDDEN", description="You can see it, but may not do this.")
    LAST_OWNER = strawberry.enum_value("LAST_OWNER", description="A workspace keeps at least one owner.")
    LAST_ADMINISTRATOR = strawberry.enum_value(
        "LAST_ADMINISTRATOR", description="The service keeps at least one administrator."
    )
    PERSONAL_WORKSPACE = strawberry.enum_value(
        "PERSONAL_WORKSPACE", description="A personal workspace has exactly its person."
    )
    WORKSPACE_NOT_EMPTY = strawberry.enum_value("WORKSPACE_NOT_EMPTY", description="The workspace has files.")
    OWNS_WORKSPACES = strawberry.enum_value("OWNS_WORKSPACES", description="Nobody else owns some shared workspaces.")
    CONFLICT = strawberry.enum_value("CONFLICT", description="It has changed since you read it.")
    IDEMPOTENCY_KEY_REUSED = strawberry.enum_value(
        "IDEMPOTENCY_KEY_REUSED", description="You sent another request under this idempotency key within a day."
    )
    TOO_MANY_KEYS = strawberry.enum_value("TOO_MANY_KEYS", description="You have as many API keys as one may have.")
    TOO_MANY_EXPORTS = strawberry.enum_value(
        "TOO_MANY_EXPORTS", description="As many of your exports have not ended as one may have."
    )
    ROTATION_UNDER_WAY = strawberry.enum_value(
        "ROTATION_UNDER_WAY", description="The key was rotated, and its former secret is still good."
    )
    FILE_TOO_LARGE = strawberry.enum_value("FILE_TOO_LARGE", description="The file is larger than the limit.")
    EXTENSION_NOT_ALLOWED = strawberry.enum_value(
        "EXTENSION_NOT_ALLOWED", description="Files with such a name are not accepted."
    )
    MEDIA_TYPE_NOT_ALLOWED = strawberry.enum_value(
        "MEDIA_TYPE_NOT_ALLOWED", description="The bytes are not what the name says."
    )
    DIGEST_MISMATCH = strawberry.enum_value("DIGEST_MISMATCH", description="Other bytes arrived than were announced.")
    TOO_MANY_UPLOADS = strawberry.enum_value(
        "TOO_MANY_UPLOADS", description="As many of your uploads are under way as may be at a time."
    )
    UPLOAD_ENDED = strawberry.enum_value("UPLOAD_ENDED", description="The upload takes no more.")
    UPLOAD_INCOMPLETE = strawberry.enum_value("UPLOAD_INCOMPLETE", description="Bytes of the upload are missing.")
    QUOTA_EXCEEDED = strawberry.enum_value("QUOTA_EXCEEDED", description="There is no room for so many bytes more.")
    RATE_LIMITED = strawberry.enum_value("RATE_LIMITED", description="Too much in too short a time; try again later.")
    UNAVAILABLE = strawberry.enum_value("UNAVAILABLE", description="Out of order for now; try again later.")


@strawberry.interface(description="Why a mutation, or a part of it, was refused.")
class Problem:
    """What every problem tells."""

    code: ProblemCode = strawberry.field(description="What went wrong, for programs.")
    message: str = strawberry.field(description="What went wrong, as a sentence for a person.")
    path: list[str] | None = strawberry.field(description="Where in the input; null when it is about no one field.")


@strawberry.type(description="A value does not have the form asked for.")
class InvalidInput(Problem):
    """See `domain.errors.InvalidInput`."""


@strawberry.type(description="No such account, or another password.")
class CredentialsWrong(Problem):
    """See `domain.errors.WrongPassword`."""


@strawberry.type(description="No such refresh token, one that was used, or its session has ended: sign in again.")
class RefreshTokenInvalid(Problem):
    """See `domain.errors.RefreshTokenInvalid`."""


@strawberry.type(description="No such token of a mail for this, or one that was used, expired or replaced.")
class MailTokenInvalid(Problem):
    """See `domain.errors.MailTokenInvalid`."""


@strawberry.type(description="The login took too long or too many attempts: log in again.")
class ChallengeInvalid(Problem):
    """See `domain.errors.ChallengeInvalid`."""


@strawberry.type(description="The code of the second factor is wrong, or was used before.")
class CodeWrong(Problem):
    """See `domain.errors.CodeWrong`."""


@strawberry.type(description="The account has a second factor already.")
class TwoFactorOn(Problem):
    """See `domain.errors.TwoFactorOn`."""


@strawberry.type(description="The account has no second factor, or none that waits to be confirmed.")
class TwoFactorOff(Problem):
    """See `domain.errors.TwoFactorOff`."""


@strawberry.type(description="Absent, or not yours to see.")
class NotFound(Problem):
    """See `domain.errors.NotFound`."""


@strawberry.type(description="You can see it, but may not do this.")
class Forbidden(Problem):
    """See `domain.errors.Forbidden`."""


@strawberry.type(description="The password breaks one or more rules.")
class PasswordTooWeak(Problem):
    """See `domain.errors.PasswordTooWeak`."""

    reasons: list[str] = strawberry.field(description="Each rule that it breaks, as a sentence.")


@strawberry.type(description="Somebody has this name already.")
class NameTaken(Problem):
    """See `domain.errors.NameTaken`."""

    name: str = strawberry.field(description="The name.")


@strawberry.type(description="A workspace keeps at least one owner who can sign in.")
class LastOwner(Problem):
    """See `domain.errors.LastOwner`."""


@strawberry.type(description="The service keeps at least one administrator who can sign in.")
class LastAdministrator(Problem):
    """See `domain.errors.LastAdministrator`."""


@strawberry.type(description="A personal workspace has exactly its person, and lasts as long as the account.")
class PersonalWorkspace(Problem):
    """See `domain.errors.PersonalWorkspace`."""


@strawberry.type(description="The workspace has files, and it was not said that they may be purged.")
class WorkspaceNotEmpty(Problem):
    """See `domain.errors.WorkspaceNotEmpty`."""

    files: int = strawberry.field(description="How many.")


@strawberry.type(description="Nobody else owns some shared workspaces: they have to be handed over.")
class OwnsWorkspaces(Problem):
    """See `domain.errors.OwnsWorkspaces`."""

    names: list[str] = strawberry.field(description="What they are called; up to 100 of them.")


@strawberry.type(description="It has changed since you read it.")
class Conflict(Problem):
    """See `domain.errors.RevisionConflict`."""

    revision: int = strawberry.field(description="Its revision now.")


@strawberry.type(description="You sent another request under this idempotency key within a day.")
class IdempotencyKeyReused(Problem):
    """See `domain.errors.IdempotencyKeyReused`."""


@strawberry.type(description="You have as many API keys as one may have.")
class TooManyKeys(Problem):
    """See `domain.errors.TooManyKeys`."""

    maximum: int = strawberry.field(description="How many a user may have.")


@strawberry.type(description="As many of your exports have not ended as one may have.")
class TooManyExports(Problem):
    """See `domain.errors.TooManyExports`."""

    maximum: int = strawberry.field(description="How many a user may have at a time.")


@strawberry.type(description="The key was rotated, and its former secret is still good.")
class RotationUnderWay(Problem):
    """See `domain.errors.RotationUnderWay`."""

    retry_after_seconds: int = strawberry.field(description="In how many seconds the former secret ends.")


@strawberry.type(description="The file is larger than the limit.")
class FileTooLarge(Problem):
    """See `domain.errors.FileTooLarge`."""

    limit: ByteCount = strawberry.field(description="The largest file that is accepted, in bytes.")


@strawberry.type(description="Files with such a name are not accepted.")
class ExtensionNotAllowed(Problem):
    """See `domain.errors.ExtensionNotAllowed`."""

    extension: str = strawberry.field(description="The extension that decided, without a dot; empty if there is none.")
    allowed: list[str] = strawberry.field(description="What is accepted.")


@strawberry.type(description="The bytes are not what the name says.")
class MediaTypeNotAllowed(Problem):
    """See `domain.errors.MediaTypeNotAllowed`."""

    declared: str | None = strawberry.field(description="The media type that the client declared, if it did.")
    detected: str = strawberry.field(description="The media type found in the bytes.")
    allowed: list[str] = strawberry.field(description="The media types that would fit the name.")


@strawberry.type(description="Other bytes arrived than were announced.")
class DigestMismatch(Problem):
    """See `domain.errors.DigestMismatch`."""

    expected: str = strawberry.field(description="The SHA-256 that the client gave, in hex.")
    actual: str = strawberry.field(description="The SHA-256 of what arrived, in hex.")


@strawberry.type(description="As many of your uploads are under way as may be at a time.")
class TooManyUploads(Problem):
    """See `domain.upload_errors.TooManyUploads`."""

    maximum: int = strawberry.field(description="How many a user may have at a time.")


@strawberry.type(description="The upload takes no more.")
class UploadEnded(Problem):
    """See `domain.upload_errors.UploadEnded`."""

    state: str = strawberry.field(description="Where it stands, as `UploadState` names it.")


@strawberry.type(description="Bytes of the upload are missing.")
class UploadIncomplete(Problem):
    """See `domain.upload_errors.UploadIncomplete`."""

    received: ByteCount = strawberry.field(description="How many bytes have come.")
    size: ByteCount = strawberry.field(description="How many were announced.")


@strawberry.enum(description="Whose limit it is.")
class QuotaScope(Enum):
    """The names of `db.models.QuotaKind`."""

    WORKSPACE = strawberry.enum_value("WORKSPACE", description="What the workspace may hold.")
    USER = strawberry.enum_value("USER", description="What the user may bring, to whatever workspaces.")


@strawberry.type(description="There is no room for so many bytes more.")
class QuotaExceeded(Problem):
    """See `domain.upload_errors.QuotaExceeded`."""

    scope: QuotaScope = strawberry.field(description="Whose limit it is.")
    limit: ByteCount = strawberry.field(description="How many bytes there may be.")
    used: ByteCount = strawberry.field(description="How many there are, all versions counted.")
    reserved: ByteCount = strawberry.field(description="How many are kept for uploads under way.")
    requested: ByteCount = strawberry.field(description="How many more were asked for.")


@strawberry.type(description="Too much in too short a time; try again later.")
class RateLimited(Problem):
    """See `domain.errors.RateLimited`."""

    retry_after_seconds: int = strawberry.field(description="In how many seconds to try again.")
    policy: str = strawberry.field(description="The limit that was met, by the name it has in `RateLimit` headers.")
    limit: ByteCount = strawberry.field(
        description="How much it allows in its window: requests, attempts, cost or bytes."
    )
    window_seconds: int = strawberry.field(description="How long its window is.")


@strawberry.type(description="Out of order for now; try again later.")
class Unavailable(Problem):
    """See `domain.errors.Unavailable`."""

    retry_after_seconds: int = strawberry.field(description="In how many seconds to try again.")


PROBLEMS: dict[type[Refusal], type[Problem]] = {
    errors.InvalidInput: InvalidInput,
    errors.WrongPassword: CredentialsWrong,
    errors.RefreshTokenInvalid: RefreshTokenInvalid,
    errors.MailTokenInvalid: MailTokenInvalid,
    errors.ChallengeInvalid: ChallengeInvalid,
    errors.CodeWrong: CodeWrong,
    errors.TwoFactorOn: TwoFactorOn,
    errors.TwoFactorOff: TwoFactorOff,
    errors.NotFound: NotFound,
    errors.Forbidden: Forbidden,
    errors.PasswordTooWeak: PasswordTooWeak,
    errors.NameTaken: NameTaken,
    errors.LastOwner: LastOwner,
    errors.LastAdministrator: LastAdministrator,
    errors.PersonalWorkspace: PersonalWorkspace,
    errors.WorkspaceNotEmpty: WorkspaceNotEmpty,
    errors.OwnsWorkspaces: OwnsWorkspaces,
    errors.RevisionConflict: Conflict,
    errors.IdempotencyKeyReused: IdempotencyKeyReused,
    errors.TooManyKeys: TooManyKeys,
    errors.TooManyExports: TooManyExports,
    errors.RotationUnderWay: RotationUnderWay,
    errors.FileTooLarge: FileTooLarge,
    errors.ExtensionNotAllowed: ExtensionNotAllowed,
    errors.MediaTypeNotAllowed: MediaTypeNotAllowed,
    errors.DigestMismatch: DigestMismatch,
    upload_errors.TooManyUploads: TooManyUploads,
    upload_errors.UploadEnded: UploadEnded,
    upload_errors.UploadIncomplete: UploadIncomplete,
    upload_errors.QuotaExceeded: QuotaExceeded,
    errors.RateLimited: RateLimited,
    errors.Unavailable: Unavailable,
}


@strawberry.type
class Payload:
    """What every mutation answers with, besides what it has made."""

    problems: list[Problem] = strawberry.field(default_factory=list, description="Why it was refused; else empty.")

    @classmethod
    def refused(cls, problems: list[Problem]) -> Self:
        """An answer that has nothing but problems."""
        return cls(problems=problems)


Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer", bound=Payload)
Resolver = Callable[Arguments, Awaitable[Answer]]


def problem_of(refusal: Refusal) -> Problem:
    """The problem that tells of a refusal; its details have the same names."""
    told = PROBLEMS[type(refusal)]
    details = {name: _plain(name, value) for name, value in vars(refusal).items() if name in told.__annotations__}
    return told(code=ProblemCode(refusal.code), message=refusal.message, path=list(refusal.path) or None, **details)


def problems_of(refused: Refusal | Refusals) -> list[Problem]:
    """The problems of one or several refusals."""
    return [problem_of(refusal) for refusal in (refused.refusals if isinstance(refused, Refusals) else [refused])]


def refusable(payload: type[Answer]) -> Callable[[Resolver[Arguments, Answer]], Resolver[Arguments, Answer]]:
    """Let a mutation's refusals become its payload's problems; those that are not its own business go on up."""

    def decorate(resolver: Resolver[Arguments, Answer]) -> Resolver[Arguments, Answer]:
        @wraps(resolver)
        async def resolve(*arguments: Arguments.args, **keywords: Arguments.kwargs) -> Answer:
            try:
                return await resolver(*arguments, **keywords)
            except (Refusal, Refusals) as refused:
                if isinstance(refused, Refusal) and type(refused) not in PROBLEMS:
                    raise
                return payload.refused(problems_of(refused))

        return resolve

    return decorate


def _plain(name: str, value: object) -> object:
    if name == "scope":
        return QuotaScope[str(value)]
    return list(value) if isinstance(value, tuple) else value
