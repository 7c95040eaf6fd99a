"""Numbers of the whole service, for those who run it: how much there is, and how much waits."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from db import figures
from db.engine import Rows


class Figures(NamedTuple):
    """Sizes in bytes; jobs by kind and state, uploads that have not ended by transport and state.

    `overdue_seconds` is how long the job has been due that waits the longest. All of it is as JSON has it.
    """

    used: int
    reserved: int
    files: int
    jobs: Sequence[tuple[str, str, int]]
    overdue_seconds: float
    uploads: Sequence[tuple[str, str, int]]


async def figures_of(rows: Rows, now: datetime) -> Figures:
    """The numbers as of now."""
    used, reserved, files = await figures.stored(rows)
    due_at = await figures.longest_due(rows)
    overdue_seconds = max(0.0, (now - due_at).total_seconds()) if due_at else 0.0
    jobs, uploads = await figures.jobs(rows), await figures.live_uploads(rows)
    return Figures(used, reserved, files, jobs, overdue_seconds, uploads)
