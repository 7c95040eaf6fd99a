"""What users did in a period, summed up: everybody's own, and for administrators anybody's. Exact at any moment."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from db import activity_summaries
from db.analytics import Period
from db.engine import Rows
from db.rows import ActivitySummaryRow
from domain.viewer import Viewer


async def summaries_of(
    rows: Rows, viewer: Viewer, user_ids: Sequence[UUID], days: tuple[date, date]
) -> Mapping[UUID, ActivitySummaryRow]:
    """The summaries of those of the users whose accounts the viewer may see, also of who did nothing.

    `days` are the first and the last of a period. Raises NotSignedIn and ScopeMissing.
    """
    viewer.seeing_accounts()
    known = [user_id for user_id in user_ids if viewer.sees_account_of(user_id)]
    found = await activity_summaries.of_users(rows, known, Period(*days))
    return {user_id: ActivitySummaryRow(user_id) for user_id in known} | {row.user_id: row for row in found}
