"""What the settings decide: what may be uploaded, how long things last, and how much and many one may have."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from db.models import MailTokenPurpose
from db.rates import Rate


@dataclass(frozen=True, slots=True)
class WorkspacePolicy:
    """What holds for every workspace: bytes that it may have unless it was given another limit, 0 being no limit.

    `user_quota_bytes` is the same for what one user brings, wherever.
    """

    quota_bytes: int
    user_quota_bytes: int
    invitation_lifetime: timedelta


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """Limits of every upload. Extensions are lower case, without a dot."""

    maximum_file_bytes: int
    maximum_files: int
    allowed_extensions: frozenset[str]
    blocked_extensions: frozenset[str]


@dataclass(frozen=True, slots=True)
class UploadSessionPolicy:
    """What holds for uploads that take several requests.

    They last `lifetime` after their last byte, and are remembered for `memory` after their end. A user has at most
    `maximum_open` at a time. Parts have `part_bytes`, more where there would be too many. What is larger than
    `verified_at_once_bytes` and has to be read again is verified by a job.
    """

    lifetime: timedelta
    memory: timedelta
    maximum_open: int
    part_bytes: int
    verified_at_once_bytes: int


@dataclass(frozen=True, slots=True)
class StoragePolicy:
    """What becomes of bytes that lie in the store, and of what is remembered of how they came.

    Bytes that nobody wants are removed once they have lain there for `orphan_grace`. What blobs consist of is read
    again every `scrub_interval`, `scrub_bytes` a second at most; 0 is never. Events of uploads last `upload_events`.
    """

    orphan_grace: timedelta
    upload_events: timedelta
    scrub_interval: timedelta
    scrub_bytes: int


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """How long a session lasts without being refreshed, and how long at most, however often it is."""

    idle: timedelta
    maximum: timedelta

    def end(self, created_at: datetime, now: datetime) -> datetime:
        """When a session that is used now will end."""
        return min(now + self.idle, created_at + self.maximum)


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """How many API keys a user may have."""

    maximum_keys: int


MailTokenLifetimes = Mapping[MailTokenPurpose, timedelta]
"""How long a token that was sent by mail is good for."""


class Limit(StrEnum):
    """What there is a rate for, under the name that answers and headers give it."""

    REQUESTS_PER_ADDRESS = "requests-per-address"
    REQUESTS_PER_USER = "requests-per-user"
    REQUESTS_PER_KEY = "requests-per-key"
    COST_PER_ADDRESS = "cost-per-address"
    COST_PER_USER = "cost-per-user"
    UPLOADED_BYTES_PER_USER = "uploaded-bytes-per-user"
    LOGINS_PER_ADDRESS = "logins-per-address"
    LOGINS_PER_ACCOUNT = "logins-per-account"
    SIGNUPS_PER_ADDRESS = "signups-per-address"
    MAILS_PER_ADDRESS = "mails-per-address"
    MAILS_PER_ACCOUNT = "mails-per-account"


Rates = Mapping[Limit, Rate]
"""How much of what is allowed; what is not in it is not limited."""
