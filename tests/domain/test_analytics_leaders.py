"""Who has most is found whatever everybody has, and without adding it up for everybody."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import cycle, product
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from uuid_utils.compat import uuid7

from db import analytics_deltas
from db.analytics import Extent, Period
from db.analytics_deltas import DeltaRow
from db.analytics_leaders import Comparison, _search
from db.analytics_lists import Lists
from db.engine import Database
from db.models import User
from db.questions import UserMeasure
from domain.analytics_folding import fold
from domain.analytics_leaders import _looked_for, leaders
from tests.records import NOW
from tests.scenes import Scene

BEGIN = date(2026, 10, 1)
DAYS = 60
LONG_AGO = Period(BEGIN + timedelta(days=5), BEGIN + timedelta(days=12))
RECENT = Period(BEGIN + timedelta(days=40), BEGIN + timedelta(days=45))
LATEST = Period(BEGIN, BEGIN + timedelta(days=DAYS))


async def live(db: Database, chance: Random, skew: float) -> tuple[list[UUID], list[UUID], list[DeltaRow]]:
    """Forty people in three workspaces, who bring, lose and download: some much more of it than others."""
    people, places = [uuid7() for _ in range(40)], [uuid7() for _ in range(3)]
    deltas = []
    for _ in range(400):
        many = int(1 + 1000 * chance.random() ** skew)
        person, day = chance.choice(people), BEGIN + timedelta(days=chance.randrange(DAYS))
        lost = chance.randrange(many) if chance.random() < 0.3 else 0
        numbers = {"files": many, "bytes": many * 10**12, "downloads": chance.choice((0, many))}
        deltas.append(DeltaRow(day, chance.choice(places), person, "text/plain", **numbers))
        later = day + timedelta(days=chance.randrange(5))
        deltas.append(DeltaRow(later, deltas[-1].workspace_id, person, "text/plain", -lost, -lost * 10**12))
    async with db.transaction() as tx:
        # Those who left are counted, and are among the leaders of nothing.
        await tx.add(*(_user(person, number) for number, person in enumerate(people[:-2])))
        await analytics_deltas.append(tx, deltas[:700])
    await fold(db, 100)
    async with db.transaction() as tx:
        await analytics_deltas.append(tx, deltas[700:])
    return people[:-2], places, deltas


def _user(user_id: UUID, number: int) -> User:
    name = f"person{number}"
    return User(
        id=user_id, username=name, username_folded=name, email=name, email_folded=name, password_hash="-",
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip


@pytest.mark.parametrize("skew", [0, 1, 30])
async def test_leaders_are_who_has_most_when_everything_is_added_up(scene: Scene, skew: float) -> None:
    people, places, deltas = await live(scene.db, Random(int(skew)), skew)
    extents = Extent(None), Extent(tuple(places[:1])), Extent(tuple(places)), Extent(())
    asked = product(UserMeasure, extents, (LONG_AGO, RECENT, LATEST))
    for (by, extent, period), firsts in zip(asked, cycle([(1, 10), (3, 100)])):
        sums: Counter[UUID] = Counter()
        since = period.since if by is UserMeasure.DOWNLOADS else BEGIN
        for delta in deltas:
            is_there = extent.workspace_ids is None or delta.workspace_id in extent.workspace_ids
            if is_there and since <= delta.day <= period.until and delta.user_id in people:
                sums[delta.user_id] += getattr(delta, by)
        # Nobody is a member of these workspaces, and who is none is not told to have downloaded.
        shown = sums if by is not UserMeasure.DOWNLOADS or extent.is_everything else Counter()
        expected = [each for each in sorted(shown, key=lambda each: (shown[each], each), reverse=True) if shown[each]]
        async with scene.db.reading() as rows:
            for first in firsts:
                compared = Comparison(extent, period, by, first)
                assert await leaders(rows, compared) == expected[:first]
                if by is not UserMeasure.DOWNLOADS:
                    for lists in (Lists.HELD, Lists.BROUGHT):
                        told = await _looked_for(rows, compared, lists)
                        assert [row.user_id for row in told.found] == expected[:first]


async def test_a_leader_is_found_behind_many_who_left(scene: Scene) -> None:
    gone, place, here = [uuid7() for _ in range(9)], uuid7(), scene.id("owner")
    numbers = {"files": 1000, "bytes": 1000, "downloads": 1000}
    deltas = [DeltaRow(BEGIN, place, person, "text/plain", **numbers) for person in gone]
    deltas.append(DeltaRow(BEGIN, place, here, "text/plain", files=1, bytes=1, downloads=1))
    async with scene.db.transaction() as tx:
        await analytics_deltas.append(tx, deltas)
    await fold(scene.db)
    for by in UserMeasure:
        async with scene.db.reading() as rows:
            assert await leaders(rows, Comparison(Extent(None), LATEST, by, 1)) == [here]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("lists", "table", "keys"),
    [
        (Lists.HAPPENED, "daily_users", ("scope_id", "day", "downloads")),
        (Lists.HAPPENED, "monthly_users", ("scope_id", "month", "downloads")),
        (Lists.HELD, "held_users", ("scope_id", "bytes")),
        (Lists.HELD, "daily_users", ("scope_id", "day", "bytes")),
        (Lists.BROUGHT, "daily_users", ("scope_id", "day", "files")),
        (Lists.BROUGHT, "monthly_users", ("scope_id", "month", "files")),
    ],
)
async def test_leaders_are_read_from_indexes_alone(scene: Scene, lists: Lists, table: str, keys: Sequence[str]) -> None:
    by = UserMeasure(keys[-1])
    asked = Comparison(Extent(None), LATEST, by, 10).parameters | {"least": None}
    statement: Any = _search(is_everything=True, by=by, kind=lists).statement
    named = statement.params(asked).compile(
        dialect=sqlite.dialect(paramstyle="named"), compile_kwargs={"render_postcompile": True}
    )
    parameters = dict.fromkeys(re.findall(r":(\w+)", str(named)))
    async with scene.db.reading() as rows:
        plan = [row.detail for row in await rows.all(text(f"EXPLAIN QUERY PLAN {named}"), parameters)]
    index = f"SEARCH {table} USING COVERING INDEX ix_{table}_{'_'.join(keys)}_user_id"
    searched = f"{index} ({'=? AND '.join(keys)}"
    # Where a list ends, who is above that, and who may reach what is looked for.
    assert sum(line.startswith(searched) for line in plan) == 3
    assert not any(line.startswith(("SCAN daily_", "SCAN monthly_", "SCAN held_")) for line in plan)
