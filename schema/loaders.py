"""DataLoaders: one statement per relation, however long the list that asks. New for every operation and mutation."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Protocol, TypeAlias, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from db.engine import Database, Rows
from db.questions import EventFilter, Page, Window
from db.rows import (
    ActivitySummaryRow,
    AnalyticsExportRow,
    ApiKeyRow,
    EventRow,
    FileRow,
    InvitationRow,
    MemberRow,
    SessionRow,
    StorageCheckRow,
    UploadRow,
    UsageRow,
    UserRow,
    VersionRow,
    WorkspaceRow,
)
from domain import (
    activity_summaries,
    analytics_exports,
    api_keys,
    events,
    files,
    invitations,
    members,
    quotas,
    sessions,
    storage_check_jobs,
    upload_sessions,
    users,
    versions,
    workspaces,
)
from domain.errors import NotFound
from domain.ports import Clock
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
Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")
Item = TypeVar("Item")
Answers = Callable[[Rows, Viewer, Sequence[UUID], Question], Awaitable[Mapping[UUID, Answer]]]
Pages: TypeAlias = Mapping[UUID, Page[Item]]
Asking: TypeAlias = DataLoader[tuple[UUID, Question], Answer | None]


class Loaders:
    """One loader per noun, by id, each finding only what the viewer may see; None for the rest.

    `personal_workspaces` go by the id of their user. `uploaders` finds any user: who may see a file may see the name of
    who uploaded it. What lists inside of lists need goes by the id of the outer entry and the question to it.
    """

    def __init__(self, db: Database, viewer: Viewer, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self.viewer = viewer

    # Each is made when it is first asked for: most operations need one or two, uploads none.

    @cached_property
    def users(self) -> DataLoader[UUID, UserRow | None]:
        """Users that the viewer may see."""
        return self._by(_id, users.by_ids)

    @cached_property
    def own(self) -> DataLoader[UUID, UserRow | None]:
        """The viewer itself, by its own id."""
        return self._by(_id, users.own_by_ids)

    @cached_property
    def uploaders(self) -> DataLoader[UUID, UserRow | None]:
        """Users who brought a file that the viewer may see."""
        return self._by(_id, users.uploaders_by_ids)

    @cached_property
    def workspaces(self) -> DataLoader[UUID, WorkspaceRow | None]:
        """Workspaces that the viewer is a member of."""
        return self._by(_id, workspaces.by_ids)

    @cached_property
    def personal_workspaces(self) -> DataLoader[UUID, WorkspaceRow | None]:
        """Workspaces that are somebody's own."""
        return self._by(_owner, workspaces.personal_of)

    @cached_property
    def files(self) -> DataLoader[UUID, FileRow | None]:
        """Files that the viewer may see."""
        return self._by(_id, files.by_ids)

    @cached_property
    def versions(self) -> DataLoader[UUID, VersionRow | None]:
        """Versions of files that the viewer may see."""
        return self._by(_id, versions.by_ids)

    @cached_property
    def version_pages(self) -> Asking[Window, Page[VersionRow]]:
        """Versions of a file."""
        return self._asking(versions.pages)

    @cached_property
    def version_counts(self) -> Asking[None, int]:
        """How many versions a file has."""
        return self._asking(versions.counts)

    @cached_property
    def uploads(self) -> DataLoader[UUID, UploadRow | None]:
        """Uploads of the viewer's."""
        return self._by(_id, upload_sessions.by_ids)

    @cached_property
    def storage_checks(self) -> DataLoader[UUID, StorageCheckRow | None]:
        """Checks of the storage, for administrators."""
        return self._by(_id, storage_check_jobs.by_ids)

    @cached_property
    def analytics_exports(self) -> DataLoader[UUID, AnalyticsExportRow | None]:
        """Exports of the viewer's."""
        return self._by(_id, analytics_exports.by_ids)

    @cached_property
    def known_workspaces(self) -> DataLoader[UUID, WorkspaceRow | None]:
        """Workspaces that the viewer is a member of; for administrators all."""
        return self._by(_id, workspaces.known_by_ids)

    @cached_property
    def usages(self) -> DataLoader[UUID, UsageRow | None]:
        """What lies in workspaces."""
        return self._by(_id, quotas.usages_by_ids)

    @cached_property
    def user_usages(self) -> DataLoader[UUID, UsageRow | None]:
        """What users have brought."""
        return self._by(_id, quotas.user_usages_by_ids)

    @cached_property
    def workspace_pages(self) -> Asking[Window, Page[WorkspaceRow]]:
        """Workspaces of a user."""
        return self._asking(workspaces.pages)

    @cached_property
    def workspace_counts(self) -> Asking[None, int]:
        """How many workspaces a user has."""
        return self._asking(workspaces.counts)

    @cached_property
    def member_pages(self) -> Asking[Window, Page[MemberRow]]:
        """Members of a workspace."""
        return self._asking(members.pages)

    @cached_property
    def member_counts(self) -> Asking[None, int]:
        """How many members a workspace has."""
        return self._asking(members.counts)

    @cached_property
    def invitation_pages(self) -> Asking[Window, Page[InvitationRow]]:
        """Open invitations to a workspace."""

        async def find(rows: Rows, viewer: Viewer, ids: Sequence[UUID], window: Window) -> Pages[InvitationRow]:
            return await invitations.pages(rows, viewer, ids, (self._clock.now(), window))

        return self._asking(find)

    @cached_property
    def invitation_counts(self) -> Asking[None, int]:
        """How many open invitations a workspace has."""

        async def find(rows: Rows, viewer: Viewer, ids: Sequence[UUID], _: None) -> Mapping[UUID, int]:
            return await invitations.counts(rows, viewer, ids, self._clock.now())

        return self._asking(find)

    @cached_property
    def activity_pages(self) -> Asking[tuple[EventFilter, Window], Page[EventRow]]:
        """What a user did."""
        return self._asking(events.activity_pages)

    @cached_property
    def activity_counts(self) -> Asking[EventFilter, int]:
        """How much a user did."""
        return self._asking(events.activity_counts)

    @cached_property
    def activity_summaries(self) -> Asking[tuple[date, date], ActivitySummaryRow]:
        """What a user did from one day to another, summed up."""
        return self._asking(activity_summaries.summaries_of)

    @cached_property
    def sessions(self) -> DataLoader[tuple[UUID, Window], Page[SessionRow]]:
        """Pages of users' sessions, by the user's id and the window."""

        async def load(wanted: list[tuple[UUID, Window]]) -> list[Page[SessionRow]]:
            async with self._db.reading() as rows:
                found = await sessions.pages(rows, self.viewer, wanted, self._clock.now())
            return [found[want] for want in wanted]

        return DataLoader(load)

    @cached_property
    def session_counts(self) -> DataLoader[UUID, int]:
        """How many sessions users have, by the user's id."""

        async def load(user_ids: list[UUID]) -> list[int]:
            async with self._db.reading() as rows:
                found = await sessions.counts(rows, self.viewer, user_ids, self._clock.now())
            return [found.get(user_id, 0) for user_id in user_ids]

        return DataLoader(load)

    @cached_property
    def api_keys(self) -> DataLoader[tuple[UUID, Window], Page[ApiKeyRow]]:
        """Pages of users' API keys, by the user's id and the window."""

        async def load(wanted: list[tuple[UUID, Window]]) -> list[Page[ApiKeyRow]]:
            async with self._db.reading() as rows:
                found = await api_keys.pages(rows, self.viewer, wanted)
            return [found[want] for want in wanted]

        return DataLoader(load)

    @cached_property
    def api_key_counts(self) -> DataLoader[UUID, int]:
        """How many API keys users have, by the user's id."""

        async def load(user_ids: list[UUID]) -> list[int]:
            async with self._db.reading() as rows:
                found = await api_keys.counts(rows, self.viewer, user_ids)
            return [found.get(user_id, 0) for user_id in user_ids]

        return DataLoader(load)

    def _by(self, key: Callable[[Row], UUID | None], find: Found[Row]) -> DataLoader[UUID, Row | None]:
        async def load(ids: list[UUID]) -> list[Row | None]:
            async with self._db.reading() as rows:
                found = {key(row): row for row in await find(rows, self.viewer, ids)}
            return [found.get(wanted) for wanted in ids]

        return DataLoader(load)

    def _asking(self, find: Answers[Question, Answer]) -> Asking[Question, Answer]:
        async def load(asked: list[tuple[UUID, Question]]) -> list[Answer | None]:
            found: dict[Question, Mapping[UUID, Answer]] = {}
            async with self._db.reading() as rows:
                for question in dict.fromkeys(question for _, question in asked):
                    ids = [wanted for wanted, about in asked if about == question]
                    found[question] = await find(rows, self.viewer, ids, question)
            return [found[question].get(wanted) for wanted, question in asked]

        return DataLoader(load)


def _id(row: Identified) -> UUID:
    return row.id


def _owner(workspace: WorkspaceRow) -> UUID | None:
    return workspace.personal_user_id


async def present(loading: Awaitable[Answer | None]) -> Answer:
    """What another row points at or has. Raises NotFound when it was removed meanwhile."""
    found = await loading
    if found is None:
        raise NotFound(message="It was removed meanwhile.")
    return found
