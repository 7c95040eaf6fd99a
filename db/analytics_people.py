"""Whom a report of users tells of, and what is counted of each: everybody in one statement, and as of one moment."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Subquery, func, literal_column, or_, select, union_all
from sqlmodel import col

from db.analytics import SINCE, UNTIL, Extent, Period, in_scopes, total, waiting
from db.engine import Rows, Selection
from db.frequent import FrequentSelect
from db.models import DailyUser, Delta, HeldUser, Member, User

_NUMBERS = ("files", "bytes", "downloads")
# Not a parameter: only of a constant is it known that an index of some rows has all that are asked for.
_NOTHING: ColumnElement[int] = literal_column("0", BigInteger)


def everybody(
    rows: Rows, extent: Extent, period: Period, batch: int
) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Any]]]:
    """The users of an extent, so many at a time in the order of their ids: all that there are.

    In workspaces those who are members, and who left something there. A row is the id, the username, the files and
    bytes that are held at the end of the period, and how many downloads there were in it.
    """
    return rows.stream(_people(extent.is_everything), extent.parameters | asdict(period), batch)


@cache
def _people(is_everything: bool) -> FrequentSelect:  # noqa: FBT001
    sums = _sums(is_everything)
    told = (func.coalesce(sums.c[name], _NOTHING).label(name) for name in _NUMBERS)
    people: Selection = select(col(User.id), col(User.username), *told)
    people = people.join(sums, sums.c.user_id == col(User.id), isouter=True).order_by(col(User.id))
    if is_everything:
        return FrequentSelect(people)
    members = select(col(Member.user_id)).where(in_scopes(col(Member.workspace_id)))
    is_told_of = or_(col(User.id).in_(members), sums.c.files != _NOTHING, sums.c.bytes != _NOTHING)
    return FrequentSelect(people.where(is_told_of))


def _sums(is_everything: bool) -> Subquery:  # noqa: FBT001
    """What `db.analytics_users.sums_of` adds up, of everybody: by days, which costs far less than by users."""

    def of(source: Any, files: Any, size: Any, downloads: Any = _NOTHING) -> Selection:  # noqa: ANN401 - a table, columns
        return select(source.user_id, files.label("files"), size.label("bytes"), downloads.label("downloads"))

    within = col(DailyUser.day).between(SINCE, UNTIL), col(DailyUser.downloads) > _NOTHING
    lately = col(Delta.day).between(SINCE, UNTIL), col(Delta.downloads) != _NOTHING
    here = in_scopes(col(DailyUser.scope_id))
    both = union_all(
        of(HeldUser, col(HeldUser.files), col(HeldUser.bytes)).where(in_scopes(col(HeldUser.scope_id))),
        of(DailyUser, -col(DailyUser.files), -col(DailyUser.bytes)).where(here, col(DailyUser.day) > UNTIL),
        of(DailyUser, _NOTHING, _NOTHING, col(DailyUser.downloads)).where(here, *within),
        of(Delta, col(Delta.files), col(Delta.bytes)).where(*waiting(is_everything), col(Delta.day) <= UNTIL),
        of(Delta, _NOTHING, _NOTHING, col(Delta.downloads)).where(*waiting(is_everything), *lately),
    ).subquery()
    return select(both.c.user_id, *(total(both.c[name]) for name in _NUMBERS)).group_by(both.c.user_id).subquery()
