"""Ranges, conditions and names in header fields: tables of the RFCs' cases, and a naive model beside them."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.ranges import (
    Conditions,
    Content,
    Decision,
    content_disposition,
    content_range,
    decide,
    entity_tags,
    format_date,
    parse_date,
    select_range,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
MODIFIED = datetime(2026, 11, 20, 8, 30, 15, 250_000, tzinfo=UTC)
EXACTLY = "Fri, 20 Nov 2026 08:30:15 GMT"
BEFORE = "Fri, 20 Nov 2026 08:30:14 GMT"
AFTER = "Fri, 20 Nov 2026 08:30:16 GMT"
ETAG = '"c0ffee"'
CONTENT = Content(size=1000, etag=ETAG, modified_at=MODIFIED)
WHOLE = Decision(200, 0, 1000)
FIRST_TEN = Decision(206, 0, 10)
UNSATISFIABLE = Decision(416)


def answer(**fields: str) -> Decision:
    return decide(Conditions(**fields), CONTENT, wants_bytes=True, now=NOW)


def answer_to_head(**fields: str) -> Decision:
    return decide(Conditions(**fields), CONTENT, wants_bytes=False, now=NOW)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-9", FIRST_TEN),
        ("bytes=0-0", Decision(206, 0, 1)),
        ("bytes=10-19", Decision(206, 10, 20)),
        ("bytes=990-", Decision(206, 990, 1000)),
        ("bytes=0-", Decision(206, 0, 1000)),
        ("bytes=999-999", Decision(206, 999, 1000)),
        ("bytes=990-5000", Decision(206, 990, 1000)),
        ("bytes=-1", Decision(206, 999, 1000)),
        ("bytes=-1000", Decision(206, 0, 1000)),
        ("bytes=-5000", Decision(206, 0, 1000)),
        ("bytes=000-0009", FIRST_TEN),
        ("BYTES=0-9", FIRST_TEN),
        ("bytes= 0-9 ", FIRST_TEN),
        ("bytes=,, 0-9\t,", FIRST_TEN),
        ("bytes=0-" + "9" * 5000, Decision(206, 0, 1000)),
        ("bytes=-" + "9" * 5000, Decision(206, 0, 1000)),
    ],
)
def test_one_satisfiable_range_is_sent_as_asked(field: str, expected: Decision) -> None:
    assert select_range(field, 1000) == expected


@pytest.mark.parametrize("field", ["bytes=1000-", "bytes=1000-1000", "bytes=5000-6000", "bytes=-0", "bytes=-000"])
def test_a_range_outside_the_content_cannot_be_satisfied(field: str) -> None:
    assert select_range(field, 1000) == UNSATISFIABLE


def test_ranges_of_any_number_of_digits_are_read() -> None:
    assert select_range("bytes=" + "9" * 5000 + "-", 1000) == UNSATISFIABLE
    assert select_range("bytes=" + "9" * 5000 + "-" + "9" * 5001, 1000) == UNSATISFIABLE
    assert select_range("bytes=" + "9" * 5000 + "-" + "9" * 4999, 1000) == WHOLE


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=a-b",
        "bytes=0-b",
        "bytes=1 - 2",
        "bytes=0x0-0x9",
        "bytes=9-0",
        "bytes=+1-2",
        "bytes=0-9-",
        "bytes=\u0660-\u0669",
        "bytes =0-9",
        "bytes 0-9",
        "bytes:0-9",
        "=0-9",
        "items=0-9",
        "bytes=0-9;q=1",
        "bytes=0-9=",
        "bytes=0-9\n",
    ],
)
def test_a_malformed_range_or_another_unit_is_ignored(field: str) -> None:
    assert select_range(field, 1000) == WHOLE


@pytest.mark.parametrize("field", ["bytes=0-9,20-29", "bytes=0-9, -1", "bytes=5000-,6000-", "bytes=0-9,junk"])
def test_several_ranges_get_the_whole_content(field: str) -> None:
    assert select_range(field, 1000) == WHOLE


@pytest.mark.parametrize("field", ["bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-0"])
def test_nothing_of_an_empty_content_can_be_satisfied(field: str) -> None:
    assert select_range(field, 0) == UNSATISFIABLE


def test_the_last_bytes_of_an_empty_content_are_all_of_it() -> None:
    assert select_range("bytes=-5", 0) == Decision(200, 0, 0)


def naive_range(field: str, data: bytes) -> tuple[int, bytes]:
    """A second reading of RFC 9110 §14, on real bytes, byte by byte."""
    unit, equals, rest = field.partition("=")
    specs = [spec.strip(" \t") for spec in rest.split(",") if spec.strip(" \t")]
    if not equals or unit.lower() != "bytes" or len(specs) != 1 or not re.fullmatch("[0-9]+-[0-9]*|-[0-9]+", specs[0]):
        return 200, data
    first, last = specs[0].split("-")
    if first and last and int(last) < int(first):
        return 200, data
    if not first and int(last) > 0:
        return (206, data[-int(last) :]) if data else (200, data)
    wanted = range(0) if not first else range(int(first), int(last) + 1 if last else max(len(data), int(first)))
    chosen = bytes(byte for place, byte in enumerate(data) if place in wanted)
    return (206, chosen) if chosen else (416, b"")


positions = st.integers(min_value=0, max_value=40).map(str) | st.sampled_from(["", "00", "7" * 30])
specs = st.tuples(positions, st.sampled_from(["-", "-", "-", "--", " ", ""]), positions).map("".join)
range_fields = st.one_of(
    st.tuples(st.sampled_from(["bytes=", "Bytes=", "bytes=", "octets=", "bytes"]), specs).map("".join),
    st.lists(specs, max_size=3).map(lambda many: "bytes=" + ", ".join(many)),
    st.text(max_size=20),
)


@given(field=range_fields, data=st.binary(max_size=32))
def test_ranges_agree_with_a_naive_reading(field: str, data: bytes) -> None:
    decision = select_range(field, len(data))

    assert (decision.status, data[decision.start : decision.end]) == naive_range(field, data)


def test_content_range_names_what_is_sent_or_how_large_the_content_is() -> None:
    assert content_range(FIRST_TEN, 1000) == "bytes 0-9/1000"
    assert content_range(UNSATISFIABLE, 0) == "bytes */0"


def test_without_conditions_the_whole_content_is_sent() -> None:
    assert answer() == WHOLE
    assert answer_to_head() == WHOLE


@pytest.mark.parametrize("field", [ETAG, "*", " * ", f'"other", {ETAG}', f'W/"x" ,, {ETAG} ,', '"a,b",' + ETAG])
def test_if_match_lets_through_what_it_names(field: str) -> None:
    assert answer(if_match=field) == WHOLE


@pytest.mark.parametrize(
    "field", ['"other"', f"W/{ETAG}", "", "c0ffee", f"{ETAG} {ETAG}", f'"other" {ETAG}', "*, *", '"']
)
def test_if_match_refuses_what_it_does_not_name_strongly(field: str) -> None:
    assert answer(if_match=field) == Decision(412)


@pytest.mark.parametrize("field", [ETAG, f"W/{ETAG}", "*", f'"other",{ETAG}', f'"other" , W/{ETAG}'])
def test_if_none_match_spares_what_the_client_has(field: str) -> None:
    assert answer(if_none_match=field) == Decision(304)
    assert answer_to_head(if_none_match=field) == Decision(304)


@pytest.mark.parametrize("field", ['"other"', "", "c0ffee", f"w/{ETAG}", f"{ETAG}x"])
def test_if_none_match_sends_what_it_does_not_name(field: str) -> None:
    assert answer(if_none_match=field) == WHOLE


@pytest.mark.parametrize(
    ("field", "status"), [(BEFORE, 200), (EXACTLY, 304), (AFTER, 304), ("yesterday", 200), (f"{AFTER}, {AFTER}", 200)]
)
def test_if_modified_since_counts_whole_seconds_and_ignores_what_is_no_date(field: str, status: int) -> None:
    assert answer(if_modified_since=field).status == status


@pytest.mark.parametrize(("field", "status"), [(BEFORE, 412), (EXACTLY, 200), (AFTER, 200), ("yesterday", 200)])
def test_if_unmodified_since_counts_whole_seconds_and_ignores_what_is_no_date(field: str, status: int) -> None:
    assert answer(if_unmodified_since=field).status == status


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (ETAG, FIRST_TEN),
        (EXACTLY, FIRST_TEN),
        (f"W/{ETAG}", WHOLE),
        ('"other"', WHOLE),
        (BEFORE, WHOLE),
        (AFTER, WHOLE),
        ("", WHOLE),
        (f"{ETAG}, {ETAG}", WHOLE),
    ],
)
def test_if_range_sends_the_part_only_of_the_very_content_it_names(field: str, expected: Decision) -> None:
    assert answer(if_range=field, range="bytes=0-9") == expected


def test_a_date_that_two_contents_may_share_does_not_let_a_part_through() -> None:
    content = Content(size=1000, etag=ETAG, modified_at=MODIFIED, is_dated_apart=False)
    by_date, by_tag = Conditions(if_range=EXACTLY, range="bytes=0-9"), Conditions(if_range=ETAG, range="bytes=0-9")

    assert decide(by_date, content, wants_bytes=True, now=NOW) == WHOLE
    assert decide(by_tag, content, wants_bytes=True, now=NOW) == FIRST_TEN


def test_a_failed_if_range_never_makes_a_range_unsatisfiable() -> None:
    assert answer(if_range='"other"', range="bytes=5000-") == WHOLE
    assert answer(if_range=ETAG, range="bytes=5000-") == UNSATISFIABLE


def test_if_range_without_a_range_is_ignored() -> None:
    assert answer(if_range='"other"') == WHOLE


def test_head_knows_no_ranges() -> None:
    assert answer_to_head(range="bytes=0-9") == WHOLE
    assert answer_to_head(range="bytes=5000-") == WHOLE


def test_if_match_comes_before_if_unmodified_since() -> None:
    assert answer(if_match=ETAG, if_unmodified_since=BEFORE) == WHOLE
    assert answer(if_match='"other"', if_unmodified_since=AFTER) == Decision(412)


def test_if_none_match_comes_before_if_modified_since() -> None:
    assert answer(if_none_match='"other"', if_modified_since=AFTER) == WHOLE
    assert answer(if_none_match=ETAG, if_modified_since=BEFORE) == Decision(304)


def test_preconditions_come_before_caches_and_caches_before_ranges() -> None:
    assert answer(if_match='"other"', if_none_match=ETAG, range="bytes=0-9") == Decision(412)
    assert answer(if_match=ETAG, if_none_match=ETAG, range="bytes=5000-") == Decision(304)
    assert answer(if_match=ETAG, if_none_match='"other"', range="bytes=0-9") == FIRST_TEN


tags = st.sampled_from([ETAG, f"W/{ETAG}", '"other"', "*", "junk", f'"a", {ETAG}', f'"a", W/{ETAG}'])
dates = st.sampled_from([BEFORE, EXACTLY, AFTER, "junk"])
all_fields = st.fixed_dictionaries(
    {},
    optional={
        "if_match": tags,
        "if_unmodified_since": dates,
        "if_none_match": tags,
        "if_modified_since": dates,
        "if_range": tags | dates,
        "range": st.sampled_from(["bytes=0-9", "bytes=-5", "bytes=5000-", "junk"]),
    },
)


def naive_decision(fields: dict[str, str], *, wants_bytes: bool) -> int:
    """The numbered steps of RFC 9110 §13.2.2, over the few values above."""
    strong = {ETAG, "*", f'"a", {ETAG}'}
    weak = strong | {f"W/{ETAG}", f'"a", W/{ETAG}'}
    if "if_match" in fields:
        if fields["if_match"] not in strong:
            return 412
    elif fields.get("if_unmodified_since") == BEFORE:
        return 412
    if "if_none_match" in fields:
        if fields["if_none_match"] in weak:
            return 304
    elif fields.get("if_modified_since") in {EXACTLY, AFTER}:
        return 304
    if wants_bytes and "range" in fields and fields.get("if_range", ETAG) in {ETAG, EXACTLY}:
        return {"bytes=5000-": 416, "junk": 200}.get(fields["range"], 206)
    return 200


@given(all_fields)
def test_conditions_agree_with_the_steps_of_the_rfc(fields: dict[str, str]) -> None:
    assert answer(**fields).status == naive_decision(fields, wants_bytes=True)
    assert answer_to_head(**fields).status == naive_decision(fields, wants_bytes=False)


@given(st.text(max_size=60))
def test_no_field_breaks_the_decision(text: str) -> None:
    for field in ("if_match", "if_unmodified_since", "if_none_match", "if_modified_since", "if_range", "range"):
        assert answer(**{"range": "bytes=0-9", field: text}).status in {200, 206, 304, 412, 416}


@given(st.lists(st.from_regex('(W/)?"[!#-~]*"', fullmatch=True), max_size=6))
def test_every_listed_entity_tag_is_found(listed: list[str]) -> None:
    assert entity_tags(", ".join(listed)) == set(listed)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun Nov  6 08:49:37 1994", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Saturday, 01-Feb-76 00:00:00 GMT", datetime(2076, 2, 1, tzinfo=UTC)),
        ("Saturday, 01-Feb-77 00:00:00 GMT", datetime(1977, 2, 1, tzinfo=UTC)),
        ("Sat, 31 Dec 2016 23:59:60 GMT", datetime(2017, 1, 1, tzinfo=UTC)),
        ("Fri, 31 Dec 9999 23:59:60 GMT", None),
        ("Sun, 31 Feb 2026 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:60:00 GMT", None),
        ("Sun, 06 Nov 0000 08:49:37 GMT", None),
        ("Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 +0000", None),
        ("sun, 06 nov 1994 08:49:37 gmt", None),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("1994-11-06T08:49:37Z", None),
        ("784111777", None),
        ("", None),
    ],
)
def test_dates_are_read_in_the_three_formats_and_in_no_other(field: str, expected: datetime | None) -> None:
    assert parse_date(field, NOW) == expected


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)), st.integers(-12, 12))  # noqa: DTZ001
def test_dates_are_written_as_they_are_read(moment: datetime, hours: int) -> None:
    aware = moment.replace(tzinfo=UTC)
    elsewhere = aware.astimezone(timezone(timedelta(hours=hours)))

    assert parse_date(format_date(elsewhere), NOW) == aware.replace(microsecond=0)
    assert format_date(aware) == format_datetime(aware, usegmt=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("two words.txt", 'attachment; filename="two words.txt"'),
        ("a;b,c=d.txt", 'attachment; filename="a;b,c=d.txt"'),
        ("résumé.pdf", "attachment; filename=\"resume.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf"),
        ("日本.txt", "attachment; filename=\"__.txt\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.txt"),
        ("€.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E2%82%AC.txt"),
        ('say "hi".txt', "attachment; filename=\"say _hi_.txt\"; filename*=UTF-8''say%20%22hi%22.txt"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("back\\slash", "attachment; filename=\"back_slash\"; filename*=UTF-8''back%5Cslash"),
        ("\uff02full\uff02", "attachment; filename=\"_full_\"; filename*=UTF-8''%EF%BC%82full%EF%BC%82"),
        ("\u0301", "attachment; filename=\"file\"; filename*=UTF-8''%CC%81"),
        ("", "attachment; filename=\"file\"; filename*=UTF-8''"),
        ("a\r\nSet-Cookie: b", "attachment; filename=\"a__Set-Cookie: b\"; filename*=UTF-8''a__Set-Cookie%3A%20b"),
    ],
)
def test_names_travel_as_rfc_6266_says(name: str, expected: str) -> None:
    assert content_disposition("attachment", name) == expected


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=40))
def test_no_name_breaks_the_field(name: str) -> None:
    field = content_disposition("inline", name)

    assert re.fullmatch("[\x20-\x7e]+", field)
    assert re.fullmatch(
        r"""inline; filename="[^"\\%/]+"(; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})*)?""", field
    )


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_a_client_reads_the_name_that_was_written(name: str) -> None:
    field = content_disposition("attachment", name)
    quoted = field.removeprefix('attachment; filename="').partition('"')[0]
    extended = re.search("filename\\*=UTF-8''(.*)", field)

    assert (unquote(extended[1]) if extended else quoted) == name
