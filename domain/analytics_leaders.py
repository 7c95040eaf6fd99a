"""Who has most of something. Whoever is not found has less than what was looked for, so that the answer is exact."""

from uuid import UUID

from db import analytics_leaders
from db.analytics_leaders import Comparison, Search
from db.analytics_lists import Lists
from db.engine import Rows
from db.questions import UserMeasure

STEP = 4
RECENT_DAYS = 40
"""Of so long ago what is held now tells best who had most: what happened since is little beside it."""


async def leaders(rows: Rows, compared: Comparison) -> list[UUID]:
    """The users with most of something, the most first, of those that there are and that have some of it at all.

    As of one moment: one search finds all of them.
    """
    lists = await _lists(rows, compared)
    found = await analytics_leaders.search(rows, compared, lists)
    if found.least is None:
        found = await _looked_for(rows, compared, lists)
    return [row.user_id for row in found.found]


async def _lists(rows: Rows, compared: Comparison) -> Lists:
    """Any are right; which of them have few who may be leaders depends on how long ago it was."""
    if compared.by is UserMeasure.DOWNLOADS:
        return Lists.HAPPENED
    is_long_ago = await analytics_leaders.days_after(rows, compared) > RECENT_DAYS
    return Lists.BROUGHT if is_long_ago else Lists.HELD


async def _looked_for(rows: Rows, compared: Comparison, lists: Lists) -> Search:
    """Found among those who have very much, then those who have less, until all are: too few of the first have any."""
    # Of as many who have the same, each would have a part of this size.
    least = max(1, await analytics_leaders.of_all(rows, compared) // compared.limit // STEP)
    while True:
        search = await analytics_leaders.search(rows, compared, lists, least)
        last = search.found[-1].number if len(search.found) == compared.limit else 0
        if last >= least or least == 1:
            return search
        # As many have so much at least, and so the next search ends it.
        least = max(1, least // STEP, last)
