"""What the settings decide: what may be uploaded, and how long sessions last."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """Limits of every upload. Extensions are lower case, without a dot."""

    maximum_file_bytes: int
    maximum_files: int
    allowed_extensions: frozenset[str]
    blocked_extensions: frozenset[str]


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """How long a session lasts without being refreshed, and how long at most, however often it is."""

    idle: timedelta
    maximum: timedelta

    def end(self, created_at: datetime, now: datetime) -> datetime:
        """When a session that is used now will end."""
        return min(now + self.idle, created_at + self.maximum)
