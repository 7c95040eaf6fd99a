"""The plain rows that selects give: immutable, typed, and cheap to make by the thousand."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID


class UserRow(NamedTuple):
    """A user without secrets."""

    id: UUID
    username: str
    email: str
    role: str
    disabled_at: datetime | None
    last_login_at: datetime | None
    created_at: datetime
    email_verified_at: datetime | None


class CredentialsRow(NamedTuple):
    """What a login compares with, and whether a second factor is asked for after it."""

    user_id: UUID
    password_hash: str
    has_second_factor: bool = False


class SessionRow(NamedTuple):
    """A session, as its person sees it."""

    id: UUID
    user_id: UUID
    address: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


class ApiKeyRow(NamedTuple):
    """An API key without secrets, as its owner sees it."""

    id: UUID
    user_id: UUID
    name: str
    token_prefix: str
    scopes: Sequence[str]
    addresses: Sequence[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class PresentedKeyRow(NamedTuple):
    """What a secret of an API key leads to: whose it is, and within which bounds it is good."""

    api_key_id: UUID
    user_id: UUID
    role: str
    scopes: Sequence[str]
    addresses: Sequence[str]
    expires_at: datetime | None
    secret_expires_at: datetime | None
    last_used_at: datetime | None


class WorkspaceRow(NamedTuple):
    """A workspace, and the viewer's role in it: None for an administrator who is no member."""

    id: UUID
    name: str
    personal_user_id: UUID | None
    created_at: datetime
    viewer_role: str | None


class MembershipRow(NamedTuple):
    """A user's role in a workspace, and the lines of the ledger that an upload of the one to the other is entered on.

    What is used and reserved is None where nothing was ever entered.
    """

    user_id: UUID
    workspace_id: UUID
    role: str
    workspace_limit: int | None = None
    workspace_used: int | None = None
    workspace_reserved: int | None = None
    user_limit: int | None = None
    user_used: int | None = None
    user_reserved: int | None = None


class MemberRow(NamedTuple):
    """A member, as the other members see it."""

    user_id: UUID
    workspace_id: UUID
    role: str
    created_at: datetime

    @property
    def id(self) -> UUID:
        """What tells members of one workspace apart."""
        return self.user_id


class InvitationRow(NamedTuple):
    """A role that is offered to an email, without its token."""

    id: UUID
    workspace_id: UUID
    email: str
    role: str
    invited_by_id: UUID | None
    created_at: datetime
    expires_at: datetime


class UsageRow(NamedTuple):
    """A line of the ledger, of a workspace or a user: see `db.models.quotas.Quota`."""

    id: UUID
    files: int
    used: int
    reserved: int
    quota_limit: int | None


class EventRow(NamedTuple):
    """Something that happened, and whether the viewer is a member of the workspace that it happened in."""

    id: UUID
    kind: str
    actor_id: UUID | None
    workspace_id: UUID | None
    target_id: UUID | None
    size: int | None
    data: dict[str, Any] | None
    address: str | None
    request_id: str | None
    created_at: datetime
    is_member: bool


class ActivitySummaryRow(NamedTuple):
    """How often a user uploaded and downloaded, and the bytes of it."""

    user_id: UUID
    uploads: int = 0
    uploaded: int = 0
    downloads: int = 0
    downloaded: int = 0


class FileRow(NamedTuple):
    """A file with its current version's size, media type and digest, as a member sees it."""

    id: UUID
    workspace_id: UUID
    uploaded_by_id: UUID | None
    name: str
    version_id: UUID
    size: int
    media_type: str
    declared_media_type: str | None
    digest: str
    status: str
    revision: int
    created_at: datetime
    updated_at: datetime
    viewer_role: str


class VersionRow(NamedTuple):
    """One content of a file, whether it is what the file has now, and the status of the file."""

    id: UUID
    file_id: UUID
    number: int
    blob_key: str
    size: int
    media_type: str
    declared_media_type: str | None
    digest: str
    created_by_id: UUID | None
    created_at: datetime
    is_current: bool
    status: str


class UploadRow(NamedTuple):
    """An upload. `viewer_role` is the role in the workspace, now, of whoever makes it; None for one who is gone."""

    id: UUID
    workspace_id: UUID
    created_by_id: UUID | None
    transport: str
    state: str
    name: str
    declared_media_type: str | None
    digest: str | None
    size: int | None
    received: int
    reserved: int
    part_size: int | None
    is_partial: bool
    blob_key: str
    replaces_id: UUID | None
    replaces_revision: int | None
    metadata_header: str | None
    file_id: UUID | None
    version_id: UUID | None
    refusal: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    viewer_role: str | None


class BlobRow(NamedTuple):
    """What is recorded of bytes: where they lie, what came in, and what was found since."""

    key: str
    store: str
    size: int
    digest: str
    crc32: int
    deleted_at: datetime | None
    damage: str | None


class StorageCheckRow(NamedTuple):
    """A check of the storage: see `db.models.storage_checks.StorageCheck`."""

    id: UUID
    state: str
    repairs: bool
    digests: bool
    stage: int
    position: str
    blobs_seen: int
    blobs_total: int
    bytes_hashed: int
    counts: dict[str, Any]
    findings: list[dict[str, Any]]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class AnalyticsExportRow(NamedTuple):
    """An export of what is counted: see `db.models.analytics_exports.AnalyticsExport`."""

    id: UUID
    user_id: UUID
    api_key_id: UUID | None
    is_administrator: bool
    state: str
    report: str
    format: str
    since: date
    until: date
    interval: str | None
    workspace_id: UUID | None
    as_of: datetime | None
    row_count: int | None
    file_id: UUID | None
    refusal: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class JobRow(NamedTuple):
    """A job as its handler is given it. `attempts` counts this one too."""

    id: UUID
    kind: str
    payload: dict[str, Any] | None
    attempts: int
    leased_by: str | None


class DeadJobRow(NamedTuple):
    """A job that has been given up, without its payload."""

    id: UUID
    kind: str
    attempts: int
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    can_be_retried: bool
