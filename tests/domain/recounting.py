"""What is counted, counted once more from the raw rows: events in their order, and nothing that was ever folded."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from db.analytics import Period
from db.engine import Database
from db.models import Event, Member, User, Version
from domain.analytics import Question, Totals
from domain.analytics_buckets import Interval
from domain.events import EventKind

ADDED = {EventKind.FILE_UPLOADED, EventKind.FILE_REPLACED, EventKind.FILE_RESTORED}
UPLOADED = ADDED - {EventKind.FILE_RESTORED}
ACTS = UPLOADED | {EventKind.FILE_DOWNLOADED, EventKind.LOGIN_SUCCEEDED, EventKind.USER_CREATED}


@dataclass(slots=True)
class Held:
    """The files that there are at a moment: by whom each was uploaded, and of each version who, how much and what."""

    files: dict[UUID, tuple[UUID, UUID]] = field(default_factory=dict)
    versions: dict[UUID, list[tuple[UUID, int, str]]] = field(default_factory=dict)

    def enter(self, event: Any) -> None:
        if event.kind == EventKind.FILE_UPLOADED:
            self.files[event.target_id] = event.workspace_id, event.actor_id
            self.versions[event.target_id] = [(event.actor_id, event.size, event.data["mediaType"])]
        elif event.kind == EventKind.FILE_REPLACED:
            self.versions[event.target_id].append((event.actor_id, event.size, event.data["mediaType"]))
        elif event.kind == EventKind.FILE_RESTORED:
            former = self.versions[event.target_id][int(event.data["from"]) - 1]
            self.versions[event.target_id].append((event.actor_id, event.size, former[2]))
        elif event.kind == EventKind.FILE_PURGED:
            del self.files[event.target_id], self.versions[event.target_id]


@dataclass(slots=True)
class Recount:
    """Everything that happened, in order, and who there is."""

    events: Sequence[Any]
    users: dict[UUID, Any]
    members: Sequence[Any]

    @classmethod
    async def of(cls, db: Database) -> "Recount":
        names = ("kind", "actor_id", "workspace_id", "target_id", "size", "data", "created_at")
        columns = [getattr(Event, name) for name in names]
        async with db.reading() as rows:
            events = await rows.all(select(*columns).order_by(col(Event.created_at), col(Event.id)))
            users = await rows.all(select(col(User.id), col(User.created_at)))
            members = await rows.all(select(col(Member.user_id), col(Member.workspace_id), col(Member.created_at)))
        return cls(events, {row.id: row for row in users}, members)

    def within(self, question: Question, period: Period | None = None) -> list[Any]:
        """The events of an extent in a period."""
        days, places = period or question.period, question.extent.workspace_ids
        return [
            event
            for event in self.events
            if days.since <= event.created_at.date() <= days.until and (places is None or event.workspace_id in places)
        ]

    def held(self, question: Question, at: date) -> Held:
        """What is held in an extent at the end of a day."""
        held = Held()
        for event in self.within(question, Period(date.min, at)):
            held.enter(event)
        return held

    def totals(self, question: Question) -> Totals:
        held, happened = self.held(question, question.period.until), self.within(question)
        return Totals(
            self._users(question),
            len(held.files),
            _bytes(held),
            sum(event.kind in UPLOADED for event in happened),
            sum(event.kind == EventKind.FILE_DOWNLOADED for event in happened),
        )

    def _users(self, question: Question) -> int:
        places = question.extent.workspace_ids
        if places is not None:
            return len({row.user_id for row in self.members if row.workspace_id in places})
        kinds = [event.kind for event in self.within(question, Period(date.min, question.period.until))]
        return kinds.count(EventKind.USER_CREATED) - kinds.count(EventKind.USER_DELETED)

    def buckets(self, question: Question, interval: Interval) -> list[tuple[date, int, int, int, int, int, int]]:
        """Start, uploads and their bytes, downloads and theirs, files and bytes held at the end."""
        days = [question.period.since + timedelta(days=number) for number in range(_length(question.period))]
        grouped: dict[date, list[date]] = defaultdict(list)
        for day in days:
            grouped[interval.start_of(day)].append(day)
        return [(start, *self._bucket(question, Period(own[0], own[-1]))) for start, own in grouped.items()]

    def _bucket(self, question: Question, period: Period) -> tuple[int, int, int, int, int, int]:
        happened, held = self.within(question, period), self.held(question, period.until)
        uploads = [event.size for event in happened if event.kind in UPLOADED]
        downloads = [event.size for event in happened if event.kind == EventKind.FILE_DOWNLOADED]
        return len(uploads), sum(uploads), len(downloads), sum(downloads), len(held.files), _bytes(held)

    def media_types(self, question: Question) -> list[tuple[str, int, int]]:
        held = self.held(question, question.period.until)
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for versions in held.versions.values():
            sums[versions[-1][2]][0] += 1
            for _, size, media_type in versions:
                sums[media_type][1] += size
        found = [(name, files, size) for name, (files, size) in sums.items() if files or size]
        return sorted(found, key=lambda row: (-row[2], row[0]))

    def top_users(self, question: Question, place: int) -> list[tuple[UUID, int, int, int]]:
        """Id, files, bytes and downloads, by one of these."""
        held = self.held(question, question.period.until)
        sums: dict[UUID, list[int]] = defaultdict(lambda: [0, 0, 0])
        for _, uploader in held.files.values():
            sums[uploader][0] += 1
        for user_id, size, _ in (version for versions in held.versions.values() for version in versions):
            sums[user_id][1] += size
        for event in self.within(question):
            sums[event.actor_id][2] += event.kind == EventKind.FILE_DOWNLOADED
        found = [(key, files, size, number) for key, (files, size, number) in sums.items() if key in self.users]
        places = question.extent.workspace_ids
        if place == 3 and places is not None:
            members = {row.user_id for row in self.members if row.workspace_id in places}
            found = [row for row in found if row[0] in members]
        return sorted((row for row in found if row[place]), key=lambda row: (row[place], row[0]), reverse=True)

    def inactive(self, question: Question, since: date) -> list[UUID]:
        places, after = question.extent.workspace_ids, Period(since, date.max)
        active = {event.actor_id for event in self.within(question, after) if event.kind in ACTS}
        there: Iterable[Any] = [
            (row.id, row.created_at) for row in self.users.values() if row.created_at.date() < since
        ]
        if places is not None:
            own = [row for row in self.members if row.workspace_id in places and row.created_at.date() < since]
            there = [row for row in there if row[0] in {member.user_id for member in own}]
        return [row[0] for row in sorted(there, key=lambda row: (row[1], row[0])) if row[0] not in active]


async def is_held_so(db: Database, recount: Recount) -> bool:
    """Whether the versions that there are add up to what the events tell."""
    held = Held()
    for event in recount.events:
        held.enter(event)
    async with db.reading() as rows:
        sizes: list[int] = [row.size for row in await rows.all(select(col(Version.size)))]
    return sum(sizes) == _bytes(held)


def _bytes(held: Held) -> int:
    return sum(size for versions in held.versions.values() for _, size, _ in versions)


def _length(period: Period) -> int:
    return (period.until - period.since).days + 1
