"""What events tell of, for those who read them: one value for each kind of `domain.events`."""

from enum import Enum

import strawberry

from schema.ids import Prefix

TARGETS = {
    "analytics_export": Prefix.ANALYTICS_EXPORT,
    "api_key": Prefix.API_KEY,
    "file": Prefix.FILE,
    "invitation": Prefix.INVITATION,
    "job": Prefix.JOB,
    "storage_check": Prefix.STORAGE_CHECK,
    "upload": Prefix.UPLOAD,
    "workspace": Prefix.WORKSPACE,
}
"""What the target of an event is, by the first word of its kind; a user unless it stands here."""

DETAILS = {
    "fromUserId": Prefix.USER,
    "sessionId": Prefix.SESSION,
    "toUserId": Prefix.USER,
    "versionId": Prefix.VERSION,
}
"""What the ids in the details of events name."""


@strawberry.enum(description="What an event tells of. New kinds may be added.")
class EventKind(Enum):
    """The names of `domain.events.EventKind`."""

    USER_CREATED = strawberry.enum_value(
        "USER_CREATED", description="Somebody signed up, or an operator made an administrator."
    )
    USER_RENAMED = strawberry.enum_value("USER_RENAMED", description="Somebody took another username: `from` and `to`.")
    USER_ROLE_CHANGED = strawberry.enum_value(
        "USER_ROLE_CHANGED", description="An administrator or an operator gave a user another role: `from` and `to`."
    )
    USER_DISABLED = strawberry.enum_value(
        "USER_DISABLED", description="An administrator kept a user out, for a `reason` where one was given."
    )
    USER_ENABLED = strawberry.enum_value("USER_ENABLED", description="An administrator let a user in again.")
    USER_QUOTA_CHANGED = strawberry.enum_value(
        "USER_QUOTA_CHANGED", description="An administrator gave a user another limit: `limit` in bytes."
    )
    USER_DELETED = strawberry.enum_value(
        "USER_DELETED", description="An account was deleted, that of `username`, by an administrator or by its person."
    )
    LOGIN_SUCCEEDED = strawberry.enum_value("LOGIN_SUCCEEDED", description="Somebody logged in.")
    LOGIN_FAILED = strawberry.enum_value(
        "LOGIN_FAILED", description="Somebody tried to log in; the target is the account, where there is one."
    )
    LOGIN_CHALLENGED = strawberry.enum_value(
        "LOGIN_CHALLENGED", description="A password was right, and the second factor was asked for."
    )
    EMAIL_VERIFIED = strawberry.enum_value(
        "EMAIL_VERIFIED", description="Somebody proved by a mail that the account's address is theirs."
    )
    EMAIL_CHANGE_REQUESTED = strawberry.enum_value(
        "EMAIL_CHANGE_REQUESTED", description="Somebody asked for another email, which has to be confirmed first."
    )
    EMAIL_CHANGED = strawberry.enum_value("EMAIL_CHANGED", description="An account has another email, confirmed.")
    PASSWORD_CHANGED = strawberry.enum_value(
        "PASSWORD_CHANGED", description="Somebody changed the password, which ended all other sessions."
    )
    PASSWORD_RESET_REQUESTED = strawberry.enum_value(
        "PASSWORD_RESET_REQUESTED",
        description="Somebody asked for a new password by mail; the target is the account, where there is one.",
    )
    PASSWORD_RESET = strawberry.enum_value(
        "PASSWORD_RESET", description="Somebody chose a new password by a mail, which ended all sessions."
    )
    REAUTHENTICATION_FAILED = strawberry.enum_value(
        "REAUTHENTICATION_FAILED", description="Somebody signed in could not prove it again, by this `factor`."
    )
    API_KEY_CREATED = strawberry.enum_value(
        "API_KEY_CREATED", description="Somebody made an API key: its `name`, `prefix`, `scopes`, and where it is good."
    )
    API_KEY_UPDATED = strawberry.enum_value(
        "API_KEY_UPDATED", description="Somebody changed what an API key is good for: all of it as it is now."
    )
    API_KEY_ROTATED = strawberry.enum_value(
        "API_KEY_ROTATED", description="An API key got a new secret; the former one is good a while longer."
    )
    API_KEY_REVOKED = strawberry.enum_value("API_KEY_REVOKED", description="Somebody ended an API key for good.")
    TWO_FACTOR_STARTED = strawberry.enum_value(
        "TWO_FACTOR_STARTED", description="Somebody began to set up a second factor."
    )
    TWO_FACTOR_ENABLED = strawberry.enum_value(
        "TWO_FACTOR_ENABLED", description="A second factor is asked for from now on."
    )
    TWO_FACTOR_DISABLED = strawberry.enum_value(
        "TWO_FACTOR_DISABLED", description="No second factor is asked for any more."
    )
    RECOVERY_CODE_USED = strawberry.enum_value("RECOVERY_CODE_USED", description="A recovery code was used up.")
    SESSION_ENDED = strawberry.enum_value("SESSION_ENDED", description="Somebody logged out of a session.")
    SESSION_REVOKED = strawberry.enum_value("SESSION_REVOKED", description="Somebody ended another session.")
    SESSIONS_REVOKED = strawberry.enum_value("SESSIONS_REVOKED", description="Somebody ended so many other `sessions`.")
    REFRESH_REUSED = strawberry.enum_value(
        "REFRESH_REUSED", description="A refresh token came a second time, which ended its session."
    )
    JOB_DIED = strawberry.enum_value("JOB_DIED", description="Work of the service was given up after many attempts.")
    UPLOAD_CREATED = strawberry.enum_value(
        "UPLOAD_CREATED", description="An upload was announced, to come by this `transport`."
    )
    UPLOAD_ABORTED = strawberry.enum_value(
        "UPLOAD_ABORTED", description="An upload was given up; `size` counts what had come."
    )
    UPLOAD_EXPIRED = strawberry.enum_value(
        "UPLOAD_EXPIRED", description="Nothing came of an upload for too long; `size` counts what had come."
    )
    UPLOAD_REJECTED = strawberry.enum_value(
        "UPLOAD_REJECTED", description="The bytes of an upload were not what was announced, or not allowed: `code`."
    )
    FILE_UPLOADED = strawberry.enum_value("FILE_UPLOADED", description="A file came in, of this `mediaType`.")
    FILE_DOWNLOADED = strawberry.enum_value(
        "FILE_DOWNLOADED", description="A file went out, in this version; `size` counts the bytes that were sent."
    )
    FILE_REPLACED = strawberry.enum_value(
        "FILE_REPLACED", description="A file got another version, of this `number` and `mediaType`."
    )
    FILE_RESTORED = strawberry.enum_value(
        "FILE_RESTORED", description="A file got an older content again, that of number `from`, as its `number`."
    )
    FILE_RENAMED = strawberry.enum_value("FILE_RENAMED", description="A file was renamed: `from` and `to`.")
    FILE_PURGED = strawberry.enum_value(
        "FILE_PURGED", description="A file was removed for good; by nobody when it went with its workspace."
    )
    FILE_DAMAGED = strawberry.enum_value(
        "FILE_DAMAGED",
        description="A version's bytes were found to be lost or changed: `damage`. They are given to nobody.",
    )
    FILE_MENDED = strawberry.enum_value(
        "FILE_MENDED", description="A version's bytes that were damaged are what came in again."
    )
    STORAGE_CHECK_REQUESTED = strawberry.enum_value(
        "STORAGE_CHECK_REQUESTED", description="An administrator had the storage checked: `repair` and `digests`."
    )
    ANALYTICS_EXPORT_REQUESTED = strawberry.enum_value(
        "ANALYTICS_EXPORT_REQUESTED", description="Somebody had a `report` made as a file: from `since` to `until`."
    )
    WORKSPACE_CREATED = strawberry.enum_value(
        "WORKSPACE_CREATED", description="A shared workspace was made, with this `name`."
    )
    WORKSPACE_RENAMED = strawberry.enum_value(
        "WORKSPACE_RENAMED", description="A workspace was renamed: `from` and `to`."
    )
    WORKSPACE_DELETED = strawberry.enum_value(
        "WORKSPACE_DELETED", description="A workspace was deleted, with so many `files`."
    )
    WORKSPACE_HANDED_OVER = strawberry.enum_value(
        "WORKSPACE_HANDED_OVER", description="A workspace was given to another owner, because its last one was deleted."
    )
    QUOTA_CHANGED = strawberry.enum_value(
        "QUOTA_CHANGED", description="An administrator gave a workspace another limit: `limit` in bytes."
    )
    MEMBER_JOINED = strawberry.enum_value(
        "MEMBER_JOINED", description="Somebody accepted an invitation; the target is the member."
    )
    MEMBER_UPDATED = strawberry.enum_value(
        "MEMBER_UPDATED", description="A member was given another role: `from` and `to`."
    )
    MEMBER_REMOVED = strawberry.enum_value("MEMBER_REMOVED", description="A member was removed.")
    MEMBER_LEFT = strawberry.enum_value("MEMBER_LEFT", description="A member left.")
    INVITATION_SENT = strawberry.enum_value(
        "INVITATION_SENT", description="An owner invited somebody, with this `role`."
    )
    INVITATION_REVOKED = strawberry.enum_value("INVITATION_REVOKED", description="An owner took an invitation back.")
