"""Who has most of something: looked for among those who have very much, then those who have less, until all are found.

Whoever is not found has less than what was looked for, so that the answer is exact; see `db.analytics_leaders`.
"""

from uuid import UUID

from db import analytics_leaders
from db.analytics_leaders import STEP, Comparison
from db.engine import Rows


async def leaders(rows: Rows, compared: Comparison) -> list[UUID]:
    """The users with most of something, the most first, of those that there are and that have some of it at all.

    As of one moment: the last search finds all of them.
    """
    # Of as many who have the same, each would have a part of this size.
    least = max(1, await analytics_leaders.of_all(rows, compared) // compared.limit // STEP)
    while True:
        found = await analytics_leaders.reaching(rows, compared, least)
        last = found[-1].number if len(found) == compared.limit else 0
        if last >= least or least == 1:
            return [row.user_id for row in found]
        # As many have so much at least, and so the next search ends it.
        least = max(1, least // STEP, last)
