"""Days of UTC put together to weeks and months, none of them left out, and what is held at the end of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Self, cast

from db.analytics import DayRow, Period, Values

_NOTHING = (0,) * (len(DayRow._fields) - 1)


class Interval(StrEnum):
    """How long a bucket is. Weeks are those of ISO 8601 and begin on Mondays."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"

    def start_of(self, day: date) -> date:
        """The first day of the bucket that a day lies in."""
        if self is Interval.WEEK:
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self is Interval.MONTH else day


@dataclass(frozen=True, slots=True)
class Bucket:
    """What happened in a bucket, as far as it lies in the period, and what is held at its end. Sizes are in bytes."""

    start: date
    changes: DayRow
    held_files: int
    held_bytes: int


@dataclass(frozen=True)
class Series:
    """What every day of a period added, and what all days before it did."""

    period: Period
    before: DayRow
    by_day: Mapping[date, Values]

    @classmethod
    def of(cls, period: Period, found: Iterable[Values]) -> Self:
        """The series of the DayRows that there are."""
        by_day: dict[date | None, Values] = {row[0]: row for row in found}
        before = [by_day.pop(None)] if None in by_day else []
        return cls(period, _summed(before), cast("Mapping[date, Values]", by_day))

    @cached_property
    def within(self) -> DayRow:
        """What the period added."""
        return _summed(self.by_day.values())

    @cached_property
    def at_end(self) -> DayRow:
        """What everything up to the end of the period adds up to."""
        return _summed((self.before, self.within))

    def buckets(self, interval: Interval) -> list[Bucket]:
        """All buckets of the period, in order, also those in which nothing happened."""
        grouped: dict[date, list[Values]] = {start: [] for start in self._starts(interval)}
        for day, row in self.by_day.items():
            grouped[interval.start_of(day)].append(row)
        buckets, files, size = [], self.before.files, self.before.bytes
        for start, rows in grouped.items():
            changes = _summed(rows)
            files, size = files + changes.files, size + changes.bytes
            buckets.append(Bucket(start, changes, files, size))
        return buckets

    def _starts(self, interval: Interval) -> list[date]:
        since, length = self.period.since, (self.period.until - self.period.since).days + 1
        return list(dict.fromkeys(interval.start_of(since + timedelta(days=number)) for number in range(length)))


def _summed(rows: Iterable[Values]) -> DayRow:
    columns = list(zip(*rows, strict=True))
    return DayRow(None, *(map(sum, columns[1:]) if columns else _NOTHING))
