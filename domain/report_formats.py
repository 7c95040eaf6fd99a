"""Reports as bytes: CSV as RFC 4180 has it, and JSON Lines. Both in UTF-8, with the same names for the same things."""

import csv
import json
from collections.abc import Sequence
from datetime import date
from io import StringIO
from typing import TypeAlias

from db.models import ExportFormat

Cell: TypeAlias = str | int | date
Row: TypeAlias = Sequence[Cell]

EXTENSIONS = {ExportFormat.CSV: "csv", ExportFormat.JSON_LINES: "jsonl"}
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets take them, too


def head_of(form: ExportFormat, columns: Sequence[str]) -> bytes:
    """What stands before the first row: the names of the columns, where rows do not say them."""
    return _written(columns, [columns]) if form is ExportFormat.CSV else b""


def rows_of(form: ExportFormat, columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    """Rows, each with its end of line. Days are written as ISO 8601 has them, and numbers as they are.

    In CSV a text that a spreadsheet would take for a formula has an apostrophe before it, as spreadsheets themselves
    mark text; in JSON Lines it stands as it is.
    """
    if form is ExportFormat.CSV:
        return _written(columns, rows)
    return b"".join(
        json.dumps(dict(zip(columns, map(_plain, row), strict=True)), ensure_ascii=False).encode() + b"\n"
        for row in rows
    )


def _written(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_guarded(_plain(cell)) for _, cell in zip(columns, row, strict=True)])
    return text.getvalue().encode()


def _plain(cell: Cell) -> str | int:
    return cell.isoformat() if isinstance(cell, date) else cell


def _guarded(cell: str | int) -> str | int:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell
