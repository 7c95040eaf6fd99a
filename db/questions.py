"""What can be asked of lists: which rows, in which order, and which part of them; and the page that answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

Item = TypeVar("Item")


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
