"""What can be asked of lists: which rows, in which order, and which part of them; and the page that answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

Item = TypeVar("Item")
Made = TypeVar("Made")


class FileOrderField(StrEnum):
    """What files can be sorted by."""

    NAME = "NAME"
    CREATED_AT = "CREATED_AT"
    SIZE = "SIZE"


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files: every condition that is set must hold. Lower bounds are inclusive, upper ones exclusive."""

    name_contains_folded: str | None = None
    media_types: Sequence[str] | None = None
    size_from: int | None = None
    size_to: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    workspace_id: UUID | None = None
    uploaded_by_id: UUID | None = None


class UserOrderField(StrEnum):
    """What users can be sorted by. Who never logged in with a password counts from the signup."""

    USERNAME = "USERNAME"
    EMAIL = "EMAIL"
    CREATED_AT = "CREATED_AT"
    LAST_LOGIN_AT = "LAST_LOGIN_AT"


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users: every condition that is set must hold. `inactive_since`: no login then or later."""

    search_folded: str | None = None
    role: str | None = None
    is_disabled: bool | None = None
    workspace_id: UUID | None = None
    inactive_since: datetime | None = None


class UserMeasure(StrEnum):
    """What users can be compared by, as the rollups call it."""

    BYTES = "bytes"
    FILES = "files"
    DOWNLOADS = "downloads"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: every condition that is set must hold. Lower bounds are inclusive, upper ones exclusive."""

    actor_id: UUID | None = None
    kinds: tuple[str, ...] | None = None
    target_id: UUID | None = None
    workspace_id: UUID | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class UploadFilter:
    """Which uploads: every condition that is set must hold."""

    workspace_id: UUID | None = None
    states: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a row stands in its order: the value sorted by, and the id that tells equals apart."""

    value: Any
    id: UUID


@dataclass(frozen=True, slots=True)
class Window:
    """Up to `limit` rows between two positions, from the start, or from the end when `is_backward`."""

    limit: int
    after: Position | None = None
    before: Position | None = None
    is_backward: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """The rows of a window, in order, and whether there are more on either side.

    On the side that the window was opened from, "more" means that the client came from there.
    """

    items: Sequence[Item]
    has_next: bool
    has_previous: bool

    def of(self, make: Callable[[Any], Made]) -> "Page[Made]":
        """The page with what `make` makes of each row."""
        return Page([make(item) for item in self.items], self.has_next, self.has_previous)
