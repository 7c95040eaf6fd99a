"""Rows as CSV and as JSON Lines: the same values, and nothing that a spreadsheet would run."""

import csv
import json
from datetime import date
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.models import ExportFormat
from domain.report_formats import Cell, head_of, rows_of

COLUMNS = ("start", "name", "bytes")
CELLS = st.tuples(st.dates(), st.text(), st.integers(0, 2**63 - 1))


def test_csv_has_names_first_and_ends_lines_as_the_rfc_does() -> None:
    assert head_of(ExportFormat.CSV, COLUMNS) == b"start,name,bytes\r\n"
    rows = [(date(2026, 1, 2), 'a "b", c', 2**60), (date(2026, 1, 3), "é\n", 0)]
    told = rows_of(ExportFormat.CSV, COLUMNS, rows)
    assert told == '2026-01-02,"a ""b"", c",1152921504606846976\r\n2026-01-03,"é\n",0\r\n'.encode()


def test_json_lines_have_an_object_on_each_line() -> None:
    assert head_of(ExportFormat.JSON_LINES, COLUMNS) == b""
    told = rows_of(ExportFormat.JSON_LINES, COLUMNS, [(date(2026, 1, 2), "é\n", 3), (date(2026, 1, 3), "", 0)])
    assert told.decode().split("\n") == [
        '{"start": "2026-01-02", "name": "é\\n", "bytes": 3}',
        '{"start": "2026-01-03", "name": "", "bytes": 0}',
        "",
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-bob", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])  # noqa: RUF001
def test_no_text_is_a_formula(name: str) -> None:
    [row] = csv.reader(StringIO(rows_of(ExportFormat.CSV, ("name",), [(name,)]).decode(), newline=""))
    assert row == [f"'{name}"]
    assert json.loads(rows_of(ExportFormat.JSON_LINES, ("name",), [(name,)])) == {"name": name}


def test_numbers_are_never_guarded() -> None:
    assert rows_of(ExportFormat.CSV, ("bytes",), [(-5,)]) == b"-5\r\n"


@given(st.lists(CELLS))
def test_whatever_is_written_is_read_again(rows: list[tuple[Cell, ...]]) -> None:
    plain = [{"start": str(start), "name": name, "bytes": size} for start, name, size in rows]
    lines = rows_of(ExportFormat.JSON_LINES, COLUMNS, rows).splitlines()
    assert [json.loads(line) for line in lines] == plain
    told = (head_of(ExportFormat.CSV, COLUMNS) + rows_of(ExportFormat.CSV, COLUMNS, rows)).decode()
    read = [*csv.DictReader(StringIO(told, newline=""))]
    assert [(row["start"], int(row["bytes"])) for row in read] == [(row["start"], row["bytes"]) for row in plain]
    assert [row["name"].removeprefix("'") for row in read] == [str(row["name"]).removeprefix("'") for row in plain]
