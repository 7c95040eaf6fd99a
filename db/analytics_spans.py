"""Spans of days as whole months and the days that are left at both ends: however long they are, few rows."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Date, bindparam
from sqlmodel import SQLModel

_DAY = timedelta(days=1)
_FIRST, _LAST = date(1, 2, 1), date(9999, 11, 30)
"""Of all days, so far from the ends of the calendar that there are days around them."""


class Piece(StrEnum):
    """A part of a span: days before its first whole month, whole months, days after the last of them."""

    HEAD = "head"
    MONTHS = "months"
    TAIL = "tail"


class Span(StrEnum):
    """Where days lie as seen from a period."""

    BEFORE = "before"
    WITHIN = "within"
    AFTER = "after"
    LATER = "later"
    """The same as days alone: for a period that few days are after."""
    UP_TO = "up_to"
    """All months up to the one that the period ends in, whole."""
    REST = "rest"
    """What they have too much: the days of that one which come after the period."""


_PIECES: Mapping[Span, Sequence[Piece]] = {
    Span.BEFORE: (Piece.MONTHS, Piece.TAIL),
    Span.WITHIN: (Piece.HEAD, Piece.MONTHS, Piece.TAIL),
    Span.AFTER: (Piece.HEAD, Piece.MONTHS),
    Span.LATER: (Piece.HEAD,),
    Span.UP_TO: (Piece.MONTHS,),
    Span.REST: (Piece.HEAD,),
}
"""Those that a span can have: nothing is before the first of all months, nor after the last."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a span in the table that has it: of days, or of months."""

    table: type[SQLModel]
    is_monthly: bool
    _name: str

    def column(self, name: str) -> ColumnElement[Any]:
        """A column of the table."""
        found: ColumnElement[Any] = getattr(self.table, name)
        return found

    @property
    def start(self) -> ColumnElement[date]:
        """The column of its days or months."""
        return self.column("month" if self.is_monthly else "day")

    @property
    def is_asked(self) -> ColumnElement[bool]:
        """Whether a row is in it."""
        return self.start.between(
            bindparam(f"{self._name}_since", type_=Date), bindparam(f"{self._name}_until", type_=Date)
        )


def parts(span: Span, days: type[SQLModel], months: type[SQLModel]) -> list[Part]:
    """A span in these two tables, each row of it once. It is asked with `parameters`."""
    return [
        Part(months if piece is Piece.MONTHS else days, piece is Piece.MONTHS, f"{span}_{piece}")
        for piece in _PIECES[span]
    ]


def parameters(since: date, until: date) -> dict[str, Any]:
    """What the spans around a period are asked with."""
    end = _last_of_month(until)
    spans = {
        Span.BEFORE: (_FIRST, since - _DAY),
        Span.WITHIN: (since, until),
        Span.AFTER: (until + _DAY, _LAST),
        Span.UP_TO: (_FIRST, end),
        Span.REST: (until + _DAY, end),
    }
    return {
        f"{span}_{piece}_{end}": day
        for span, ends in spans.items()
        for piece, days in _split(*ends).items()
        for end, day in zip(("since", "until"), days, strict=True)
    } | {"later_head_since": until + _DAY, "later_head_until": _LAST}


def _split(since: date, until: date) -> dict[Piece, tuple[date, date]]:
    """The first and the last of the days or months of each piece; the last comes before the first where it is empty."""
    first = since if since.day == 1 else _last_of_month(since) + _DAY
    end = until if until == _last_of_month(until) else until.replace(day=1) - _DAY
    if end < first:
        return {Piece.HEAD: (since, until), Piece.MONTHS: (_LAST, _FIRST), Piece.TAIL: (_LAST, _FIRST)}
    return {
        Piece.HEAD: (since, first - _DAY),
        Piece.MONTHS: (first, end.replace(day=1)),
        Piece.TAIL: (end + _DAY, until),
    }


def _last_of_month(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])
