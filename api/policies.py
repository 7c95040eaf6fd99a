"""The rules' numbers, made of the settings."""

from datetime import timedelta

from api.settings import Settings
from db.models import MailTokenPurpose
from domain.policy import (
    Limit,
    MailTokenLifetimes,
    Rates,
    SessionPolicy,
    StoragePolicy,
    UploadPolicy,
    UploadSessionPolicy,
    WorkspacePolicy,
)


def upload_policy(settings: Settings) -> UploadPolicy:
    """What may be uploaded."""
    return UploadPolicy(
        maximum_file_bytes=settings.maximum_file_bytes,
        maximum_files=settings.maximum_files,
        allowed_extensions=settings.allowed_extensions,
        blocked_extensions=settings.blocked_extensions,
    )


def workspace_policy(settings: Settings) -> WorkspacePolicy:
    """How much workspaces and users hold unless they have limits of their own, and how long invitations are good."""
    return WorkspacePolicy(
        quota_bytes=settings.workspace_quota_bytes,
        user_quota_bytes=settings.user_quota_bytes,
        invitation_lifetime=timedelta(seconds=settings.invitation_seconds),
    )


def upload_session_policy(settings: Settings) -> UploadSessionPolicy:
    """What uploads of several requests may take."""
    return UploadSessionPolicy(
        lifetime=timedelta(seconds=settings.upload_seconds),
        memory=timedelta(seconds=settings.upload_memory_seconds),
        maximum_open=settings.maximum_open_uploads,
        part_bytes=settings.part_bytes,
        verified_at_once_bytes=settings.verified_at_once_bytes,
    )


def session_policy(settings: Settings) -> SessionPolicy:
    """How long people stay signed in."""
    return SessionPolicy(
        idle=timedelta(seconds=settings.refresh_token_seconds), maximum=timedelta(seconds=settings.session_seconds)
    )


def storage_policy(settings: Settings) -> StoragePolicy:
    """What is done about bytes that no record names, and how often bytes are read again."""
    return StoragePolicy(
        orphan_grace=timedelta(seconds=settings.orphan_seconds),
        upload_events=timedelta(seconds=settings.upload_event_seconds),
        scrub_interval=timedelta(seconds=settings.scrub_seconds),
        scrub_bytes=settings.scrub_bytes_per_second,
    )


def mail_token_lifetimes(settings: Settings) -> MailTokenLifetimes:
    """How long the tokens of mails are good."""
    return {purpose: timedelta(seconds=getattr(settings, f"{purpose.lower()}_seconds")) for purpose in MailTokenPurpose}


def rates(settings: Settings) -> Rates:
    """The limits that hold; none where they are switched off."""
    limits = Limit if settings.rate_limits else ()
    return {limit: getattr(settings, limit.replace("-", "_")) for limit in limits}
