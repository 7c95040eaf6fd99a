from collections import Counter
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from db.analytics_spans import _PIECES, Piece, Span, parameters, parts
from db.models import DailyTotal, MonthlyTotal

DAYS = st.dates(date(1970, 1, 1), date(2999, 12, 31))


def months_after(month: date, number: int) -> date:
    years, months = divmod(month.month - 1 + number, 12)
    return date(month.year + years, months + 1, 1)


def days_of(asked: dict[str, date], span: Span, piece: Piece) -> list[date]:
    """What is in a piece of it, as far as it lies within two years of the period."""
    since, until = asked[f"{span}_{piece}_since"], asked[f"{span}_{piece}_until"]
    end = min(until, date(asked["after_head_since"].year + 2, 1, 1))
    if piece is not Piece.MONTHS:
        return [since + timedelta(days=number) for number in range((end - since).days + 1)]
    if until < since:
        return []
    since = max(since, date(asked["within_head_since"].year - 2, 1, 1))
    months = [months_after(since, number) for number in range(800)]
    found = [month for month in months if month <= end]
    return [month + timedelta(days=day) for month in found for day in range((months_after(month, 1) - month).days)]


@given(DAYS, st.integers(0, 3659))
def test_every_day_is_in_one_piece_of_one_span(since: date, length: int) -> None:
    until = min(since + timedelta(days=length), date(2999, 12, 31))
    asked = parameters(since, until)
    seen: dict[Span, Counter[date]] = {
        span: Counter(day for piece in _PIECES[span] for day in days_of(asked, span, piece)) for span in Span
    }
    assert all(number == 1 for span in Span for number in seen[span].values())
    assert sorted(seen[Span.WITHIN]) == [since + timedelta(days=number) for number in range((until - since).days + 1)]
    assert max(seen[Span.BEFORE]) == since - timedelta(days=1)
    assert min(seen[Span.AFTER]) == until + timedelta(days=1)
    assert seen[Span.UP_TO] - seen[Span.REST] == seen[Span.BEFORE] + seen[Span.WITHIN]
    assert seen[Span.REST] <= seen[Span.UP_TO]
    for span in (Span.BEFORE, Span.AFTER):
        assert len(seen[span]) == (max(seen[span]) - min(seen[span])).days + 1


@given(DAYS, st.integers(0, 3659))
def test_there_are_never_more_days_than_the_ends_of_two_months(since: date, length: int) -> None:
    until = min(since + timedelta(days=length), date(2999, 12, 31))
    asked = parameters(since, until)
    days = [day for piece in (Piece.HEAD, Piece.TAIL) for day in days_of(asked, Span.WITHIN, piece)]
    assert len(days) <= 60


def test_a_part_has_the_table_of_its_days_or_months() -> None:
    within = parts(Span.WITHIN, DailyTotal, MonthlyTotal)
    assert [part.table.__tablename__ for part in within] == ["daily_totals", "monthly_totals", "daily_totals"]
    assert [part.start.name for part in within] == ["day", "month", "day"]
    assert [part.is_monthly for part in parts(Span.BEFORE, DailyTotal, MonthlyTotal)] == [True, False]
    assert [part.is_monthly for part in parts(Span.AFTER, DailyTotal, MonthlyTotal)] == [False, True]
