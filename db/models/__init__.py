"""The tables, as SQLModel classes: columns, keys and constraints, nothing else.

Text that people compare without regard to case has a folded column beside it (`username_folded`), which carries
uniqueness, search and order alike on every database.
"""

from db.models.analytics import (
    NEVER,
    WHOLE_SERVICE,
    DailyMediaType,
    DailyTotal,
    DailyUser,
    Delta,
    HeldMediaType,
    HeldUser,
    MonthlyMediaType,
    MonthlyTotal,
    MonthlyUser,
)
from db.models.analytics_exports import AnalyticsExport, ExportFormat, ExportReport, ExportState
from db.models.api_keys import ApiKey, ApiKeySecret
from db.models.events import Event
from db.models.files import Blob, BlobDamage, File, FileStatus, Version
from db.models.idempotency_keys import IdempotencyKey
from db.models.jobs import Job, JobState
from db.models.mail_tokens import MailToken, MailTokenPurpose
from db.models.people import (
    Challenge,
    KnownDevice,
    RecoveryCode,
    RefreshToken,
    Session,
    StreamTicket,
    TwoFactor,
    User,
    UserRole,
)
from db.models.quotas import Quota, QuotaKind
from db.models.record import FOLDED, JSON_COLUMN, Record
from db.models.storage_checks import StorageCheck, StorageCheckState
from db.models.uploads import Upload, UploadPart, UploadState, UploadTransport
from db.models.workspaces import Invitation, Member, Workspace, WorkspaceRole

__all__ = [
    "FOLDED",
    "JSON_COLUMN",
    "NEVER",
    "WHOLE_SERVICE",
    "AnalyticsExport",
    "ApiKey",
    "ApiKeySecret",
    "Blob",
    "BlobDamage",
    "Challenge",
    "DailyMediaType",
    "DailyTotal",
    "DailyUser",
    "Delta",
    "Event",
    "ExportFormat",
    "ExportReport",
    "ExportState",
    "File",
    "FileStatus",
    "HeldMediaType",
    "HeldUser",
    "IdempotencyKey",
    "Invitation",
    "Job",
    "JobState",
    "KnownDevice",
    "MailToken",
    "MailTokenPurpose",
    "Member",
    "MonthlyMediaType",
    "MonthlyTotal",
    "MonthlyUser",
    "Quota",
    "QuotaKind",
    "Record",
    "RecoveryCode",
    "RefreshToken",
    "Session",
    "StorageCheck",
    "StorageCheckState",
    "StreamTicket",
    "TwoFactor",
    "Upload",
    "UploadPart",
    "UploadState",
    "UploadTransport",
    "User",
    "UserRole",
    "Version",
    "Workspace",
    "WorkspaceRole",
]
