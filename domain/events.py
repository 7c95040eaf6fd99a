"""What happened, as rows written in the transaction of the change they tell of, and as people read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from db import events
from db.engine import Rows
from db.models import Event
from db.questions import EventFilter, Page, Window
from db.rows import EventRow
from domain.scopes import Scope
from domain.viewer import Viewer


class EventKind(StrEnum):
    """What an event tells of."""

    USER_CREATED = "user.created"
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_CHALLENGED = "login.challenged"
    EMAIL_VERIFIED = "email.verified"
    EMAIL_CHANGE_REQUESTED = "email.change_requested"
    EMAIL_CHANGED = "email.changed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of a kind
    PASSWORD_RESET_REQUESTED = "password.reset_requested"  # noqa: S105
    PASSWORD_RESET = "password.reset"  # noqa: S105
    REAUTHENTICATION_FAILED = "reauthentication.failed"
    TWO_FACTOR_STARTED = "two_factor.started"
    TWO_FACTOR_ENABLED = "two_factor.enabled"
    TWO_FACTOR_DISABLED = "two_factor.disabled"
    RECOVERY_CODE_USED = "recovery_code.used"
    SESSION_ENDED = "session.ended"
    SESSION_REVOKED = "session.revoked"
    SESSIONS_REVOKED = "sessions.revoked"
    REFRESH_REUSED = "refresh.reused"
    API_KEY_CREATED = "api_key.created"
    API_KEY_UPDATED = "api_key.updated"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    UPLOAD_CREATED = "upload.created"
    UPLOAD_ABORTED = "upload.aborted"
    UPLOAD_EXPIRED = "upload.expired"
    UPLOAD_REJECTED = "upload.rejected"
    FILE_UPLOADED = "file.uploaded"
    FILE_DOWNLOADED = "file.downloaded"
    FILE_REPLACED = "file.replaced"
    FILE_RESTORED = "file.restored"
    FILE_RENAMED = "file.renamed"
    FILE_PURGED = "file.purged"
    FILE_DAMAGED = "file.damaged"
    FILE_MENDED = "file.mended"
    STORAGE_CHECK_REQUESTED = "storage_check.requested"
    ANALYTICS_EXPORT_REQUESTED = "analytics_export.requested"
    WORKSPACE_CREATED = "workspace.created"
    WORKSPACE_RENAMED = "workspace.renamed"
    WORKSPACE_DELETED = "workspace.deleted"
    WORKSPACE_HANDED_OVER = "workspace.handed_over"
    QUOTA_CHANGED = "workspace.quota_changed"
    MEMBER_JOINED = "member.joined"
    MEMBER_UPDATED = "member.updated"
    MEMBER_REMOVED = "member.removed"
    MEMBER_LEFT = "member.left"
    INVITATION_SENT = "invitation.sent"
    INVITATION_REVOKED = "invitation.revoked"
    USER_RENAMED = "user.renamed"
    USER_ROLE_CHANGED = "user.role_changed"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_QUOTA_CHANGED = "user.quota_changed"
    USER_DELETED = "user.deleted"
    JOB_DIED = "job.died"


class RequestFacts(NamedTuple):
    """Where a request came from: its id, the client's address and user agent, as far as they are known."""

    request_id: str | None = None
    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """Who did it, where and to what; `size` is in bytes. Nothing secret goes into `data`."""

    actor_id: UUID | None = None
    workspace_id: UUID | None = None
    target_id: UUID | None = None
    size: int | None = None
    data: dict[str, Any] | None = None


def event(kind: EventKind, subject: Subject, facts: RequestFacts, now: datetime) -> Event:
    """An event, to be added to the transaction of what it tells."""
    return Event(**event_values(kind, subject, facts, now))


def event_values(kind: EventKind, subject: Subject, facts: RequestFacts, now: datetime) -> dict[str, Any]:
    """The values of an event where many are inserted: a tenth of the price of the object."""
    return {
        "id": uuid7(),
        "kind": kind,
        "actor_id": subject.actor_id,
        "workspace_id": subject.workspace_id,
        "target_id": subject.target_id,
        "size": subject.size,
        "data": subject.data,
        "address": facts.address,
        "request_id": facts.request_id,
        "created_at": now,
    }


async def page(rows: Rows, viewer: Viewer, where: EventFilter, window: Window) -> Page[EventRow]:
    """A window of the audit log, the newest first. Raises NotSignedIn and AdministratorsOnly."""
    found = await events.page(rows, viewer.administering(), _by_kind(where), window)
    return found.of(lambda row: _as_told_to(viewer, row))


async def count(rows: Rows, viewer: Viewer, where: EventFilter) -> int:
    """How many events the audit log has. Raises NotSignedIn and AdministratorsOnly."""
    viewer.administering()
    return await events.count(rows, where)


async def activity_pages(
    rows: Rows, viewer: Viewer, actor_ids: Sequence[UUID], question: tuple[EventFilter, Window]
) -> Mapping[UUID, Page[EventRow]]:
    """For each user a window of what it did: for the viewer, and for administrators of anybody. Raises NotSignedIn."""
    where, window = question
    named = where if where.kinds is not None else replace(where, kinds=tuple(EventKind))
    found = await events.pages(rows, viewer.seeing_accounts(), _accounts_of(viewer, actor_ids), named, window)
    return {key: page.of(lambda row: _as_told_to(viewer, row)) for key, page in found.items()}


async def activity_counts(
    rows: Rows, viewer: Viewer, actor_ids: Sequence[UUID], where: EventFilter
) -> Mapping[UUID, int]:
    """For each user how much `activity_pages` has. Raises NotSignedIn."""
    viewer.seeing_accounts()
    return await events.counts(rows, _accounts_of(viewer, actor_ids), where)


def _by_kind(where: EventFilter) -> EventFilter:
    """The same with all kinds named, since indexes have by kind what anybody did, and what happened anywhere."""
    is_whole_log = where.actor_id is where.target_id is where.workspace_id is None
    return where if is_whole_log or where.kinds is not None else replace(where, kinds=tuple(EventKind))


def _accounts_of(viewer: Viewer, user_ids: Sequence[UUID]) -> list[UUID]:
    return [user_id for user_id in user_ids if viewer.sees_account_of(user_id)]


def _as_told_to(viewer: Viewer, row: EventRow) -> EventRow:
    """What an event says of a file, such as its names, is for the members of its workspace and for who did it.

    Not for their keys that may not read files. That and when something happened to it is an administrator's business,
    its size included.
    """
    is_about_content = row.kind.startswith("file.")
    is_concerned = row.is_member or row.actor_id == viewer.user_id
    if not is_about_content or (is_concerned and viewer.may(Scope.FILES_READ)):
        return row
    return row._replace(data=None)
