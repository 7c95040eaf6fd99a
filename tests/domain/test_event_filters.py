"""Filters of the audit log in every combination: each answers what a look at everything would, and looks at little."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from random import Random
from types import SimpleNamespace
from uuid import UUID

from sqlalchemy import text
from uuid_utils.compat import uuid7

from db.models import Event
from db.questions import EventFilter, Position, Window
from db.rows import EventRow
from domain import events
from domain.events import EventKind, Subject, event_values
from tests.costs import work_of
from tests.records import NOW
from tests.scenes import FACTS, Scene

MANY = 3000
STEPS = {False: 1, True: 3}
"""What a look at one event costs at least, as `tests.costs` counts it: SQLite's machine takes more steps than these."""
DAY = timedelta(days=1)
KINDS = (EventKind.FILE_UPLOADED, EventKind.FILE_DOWNLOADED, EventKind.LOGIN_FAILED, EventKind.MEMBER_JOINED)
RARE = (EventKind.FILE_RENAMED, EventKind.FILE_PURGED)
BUSY, PLACE, THING, BOT, BOTS_PLACE, BOTS_THING = (uuid7() for _ in range(6))
"""Somebody and a place who never met, with much elsewhere and by others; and a bot that did one thing for years."""


async def write(scene: Scene, subjects: Sequence[tuple[EventKind, Subject, datetime]]) -> list[SimpleNamespace]:
    values = [event_values(kind, subject, FACTS, at) for kind, subject, at in subjects]
    async with scene.db.transaction() as tx:
        await tx.insert(Event, values)
    return [SimpleNamespace(**each) for each in values]


async def settle(scene: Scene) -> None:
    """Have the database look at what it has, as it does by itself."""
    async with scene.db.reading() as rows:
        await rows._connection.execute(text("VACUUM ANALYZE events" if rows.takes_lists else "ANALYZE"))


def by_hand(everything: Sequence[SimpleNamespace], where: EventFilter) -> list[UUID]:
    """The ids of what a filter lets through, the newest first."""
    found = [
        each
        for each in everything
        if where.actor_id in {None, each.actor_id}
        and where.workspace_id in {None, each.workspace_id}
        and where.target_id in {None, each.target_id}
        and (where.kinds is None or each.kind in where.kinds)
        and (where.created_from is None or each.created_at >= where.created_from)
        and (where.created_to is None or each.created_at < where.created_to)
    ]
    return [each.id for each in sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)]


def filters(actor_id: UUID, workspace_id: UUID, target_id: UUID) -> Iterator[EventFilter]:
    """Every combination of what can be asked for."""
    kinds = (None, (), (KINDS[0],), (KINDS[1], KINDS[3], RARE[0], KINDS[1]))
    spans = ((None, None), (NOW + DAY, None), (None, NOW + 3 * DAY), (NOW + DAY, NOW + 3 * DAY))
    whose = product((None, actor_id), (None, workspace_id), (None, target_id))
    for (actor, place, target), of_kinds, (since, until) in product(whose, kinds, spans):
        yield EventFilter(actor, of_kinds, target, place, since, until)


async def in_pages(scene: Scene, where: EventFilter, limit: int, *, is_backward: bool) -> list[UUID]:
    """What the log gives page by page, from its beginning or from its end."""
    found: list[EventRow] = []
    window, more = Window(limit, is_backward=is_backward), True
    while more:
        async with scene.db.reading() as rows:
            page = await events.page(rows, scene.viewer("administrator"), where, window)
        found = [*page.items, *found] if is_backward else [*found, *page.items]
        more = page.has_previous if is_backward else page.has_next
        if more:
            edge = page.items[0 if is_backward else -1]
            position = Position(edge.created_at, edge.id)
            window = replace(window, before=position) if is_backward else replace(window, after=position)
    return [row.id for row in found]


async def test_every_combination_of_filters_finds_in_pages_what_a_look_at_everything_finds(scene: Scene) -> None:
    chance = Random(7)
    people, places, things = ([uuid7() for _ in range(3)] for _ in range(3))

    def subject() -> Subject:
        return Subject(chance.choice([*people, None]), chance.choice([*places, None]), chance.choice(things))

    # Some at the same moment, as what is purged together is.
    written = [(chance.choice(KINDS), subject(), NOW + chance.randrange(5) * DAY) for _ in range(200)]
    everything = await write(scene, written)
    administrator = scene.viewer("administrator")
    for where in filters(people[0], places[0], things[0]):
        wanted = by_hand(everything, where)
        for is_backward in (False, True):
            assert await in_pages(scene, where, 17, is_backward=is_backward) == wanted, where
        async with scene.db.reading() as rows:
            assert await events.count(rows, administrator, where) == len(wanted), where
            for window in (Window(3), Window(3, is_backward=True)):
                found = await events.activity_pages(rows, administrator, people, (where, window))
                for person in people:
                    own = by_hand([each for each in everything if each.actor_id == person], where)
                    page = found.get(person)
                    ids = [row.id for row in page.items] if page else []
                    assert ids == (own[-3:] if window.is_backward else own[:3]), (where, person)


ASKED = (
    EventFilter(actor_id=BUSY, workspace_id=PLACE),
    EventFilter(actor_id=BUSY, workspace_id=PLACE, kinds=(EventKind.FILE_DOWNLOADED,)),
    EventFilter(actor_id=BUSY, workspace_id=PLACE, kinds=(*RARE, EventKind.FILE_DOWNLOADED)),
    EventFilter(actor_id=BOT, workspace_id=BOTS_PLACE, kinds=RARE),
    EventFilter(actor_id=BUSY, target_id=THING),
    EventFilter(actor_id=BUSY, target_id=THING, workspace_id=PLACE),
    EventFilter(target_id=THING, kinds=RARE),
    EventFilter(target_id=THING, kinds=RARE, workspace_id=PLACE),
    EventFilter(actor_id=BOT, target_id=BOTS_THING, kinds=RARE),
    # There is much of these, of which a page is little.
    EventFilter(actor_id=BUSY),
    EventFilter(workspace_id=PLACE),
    EventFilter(target_id=THING),
    EventFilter(actor_id=BOT, workspace_id=BOTS_PLACE),
)
SPANS = ((None, None), (NOW - DAY, None), (None, NOW + DAY))


async def test_no_combination_of_filters_has_a_page_cost_a_look_at_all_that_is_busy(scene: Scene) -> None:
    kind, others = EventKind.FILE_DOWNLOADED, [uuid7() for _ in range(10)]
    elsewhere = [(kind, Subject(BUSY, others[each % 10], uuid7()), NOW) for each in range(MANY)]
    by_others = [(kind, Subject(others[each % 10], PLACE, THING), NOW) for each in range(MANY)]
    by_bot = [(kind, Subject(BOT, BOTS_PLACE, BOTS_THING), NOW) for _ in range(MANY)]
    rare = [(each, Subject(uuid7(), uuid7(), uuid7()), NOW) for each in (*RARE, *KINDS) for _ in range(50)]
    await write(scene, [*elsewhere, *by_others, *by_bot, *rare])
    await settle(scene)
    administrator, costly = scene.viewer("administrator"), []
    for where, (since, until) in product(ASKED, SPANS):
        asked = replace(where, created_from=since, created_to=until)
        page = partial(events.page, viewer=administrator, where=asked, window=Window(20))
        if (work := await work_of(scene.db, page)) >= MANY * STEPS[scene.db.is_embedded]:
            costly.append((asked, work))
    assert costly == []


async def test_what_several_people_did_costs_no_look_at_all_of_it(scene: Scene) -> None:
    people = [uuid7() for _ in range(3)]
    for person in people:
        await write(scene, [(EventKind.FILE_DOWNLOADED, Subject(person, PLACE, THING), NOW)] * MANY)
    await settle(scene)
    administrator, question = scene.viewer("administrator"), (EventFilter(), Window(5))
    work = await work_of(scene.db, lambda rows: events.activity_pages(rows, administrator, people, question))
    assert work < len(people) * MANY * STEPS[scene.db.is_embedded]
