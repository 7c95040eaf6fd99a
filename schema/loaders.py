"""DataLoaders: one statement per relation, however long the list that asks. New for every operation and mutation."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from db.engine import Database, Rows
from db.rows import FileRow, UserRow, VersionRow, WorkspaceRow
from domain import files, users, workspaces
from domain.errors import NotFound
from domain.viewer import Viewer


class Identified(Protocol):
    """A row with an id."""

    @property
    def id(self) -> UUID:
        """What the row is looked up by."""
        ...


Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row", bound=Identified)
Found = Callable[[Rows, Viewer, Sequence[UUID]], Awaitable[Sequence[Row]]]


class Loaders:
    """One loader per noun, by id, each finding only what the viewer may see; None for the rest.

    `personal_workspaces` go by the id of their user. `uploaders` finds any user: who may see a file may see the name of
    who uploaded it.
    """

    def __init__(self, db: Database, viewer: Viewer) -> None:
        def by(key: Callable[[Row], UUID | None], find: Found[Row]) -> DataLoader[UUID, Row | None]:
            async def load(ids: list[UUID]) -> list[Row | None]:
                async with db.reading() as rows:
                    found = {key(row): row for row in await find(rows, viewer, ids)}
                return [found.get(wanted) for wanted in ids]

            return DataLoader(load)

        def by_id(find: Found[Row]) -> DataLoader[UUID, Row | None]:
            return by(lambda row: row.id, find)

        self.viewer = viewer
        self.users: DataLoader[UUID, UserRow | None] = by_id(users.by_ids)
        self.uploaders: DataLoader[UUID, UserRow | None] = by_id(users.uploaders_by_ids)
        self.workspaces: DataLoader[UUID, WorkspaceRow | None] = by_id(workspaces.by_ids)
        self.personal_workspaces = by(_owner, workspaces.personal_of)
        self.files: DataLoader[UUID, FileRow | None] = by_id(files.by_ids)
        self.versions: DataLoader[UUID, VersionRow | None] = by_id(files.versions_by_ids)


def _owner(workspace: WorkspaceRow) -> UUID | None:
    return workspace.personal_user_id


async def present(loading: Awaitable[Row | None]) -> Row:
    """A row that another row points at. Raises NotFound when it was removed meanwhile."""
    row = await loading
    if row is None:
        raise NotFound(message="It was removed meanwhile.")
    return row
