"""The scalars beside GraphQL's own. `Upload` stands in `schema/uploads.py`."""

import re
from datetime import UTC, date, datetime
from typing import NewType

import strawberry
from graphql import GraphQLError, IntValueNode, StringValueNode, ValueNode
from strawberry.types.scalar import ScalarDefinition

ByteCount = NewType("ByteCount", int)
Date = NewType("Date", date)
DateTime = NewType("DateTime", datetime)
URL = NewType("URL", str)
JSON = NewType("JSON", dict[str, object])

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
FULL_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
LARGEST_BYTE_COUNT = 2**63 - 1


def parse_byte_count(value: object) -> int:
    """A whole number of bytes from 0 to 2⁶³ - 1."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_BYTE_COUNT:
        raise GraphQLError(f"A ByteCount is a whole number from 0 to {LARGEST_BYTE_COUNT}.")
    return value


def parse_date(value: object) -> date:
    """A day, as RFC 3339 writes it."""
    try:
        if isinstance(value, str) and FULL_DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise GraphQLError("A Date is written like 2026-01-31.")


def parse_date_time(value: object) -> datetime:
    """A time of RFC 3339, with its offset, as UTC."""
    try:
        is_written_so = isinstance(value, str) and RFC_3339.fullmatch(value)
        moment = datetime.fromisoformat(str(value)) if is_written_so else None
        if moment is None or moment.tzinfo is None:
            raise GraphQLError("A DateTime is written like 2026-01-31T12:00:00Z, with its offset.")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise GraphQLError("A DateTime is written like 2026-01-31T12:00:00Z, with its offset.") from error


def serialize_date_time(value: datetime) -> str:
    """RFC 3339 in UTC, with microseconds where there are some."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _byte_count_literal(node: ValueNode, _variables: object = None) -> int:
    # Python refuses to read thousands of digits, in words of its own.
    if isinstance(node, IntValueNode) and len(node.value) <= len(str(LARGEST_BYTE_COUNT)):
        return parse_byte_count(int(node.value))
    return parse_byte_count(None)


def _date_literal(node: ValueNode, _variables: object = None) -> date:
    return parse_date(node.value if isinstance(node, StringValueNode) else None)


def _date_time_literal(node: ValueNode, _variables: object = None) -> datetime:
    return parse_date_time(node.value if isinstance(node, StringValueNode) else None)


SCALARS: dict[object, ScalarDefinition] = {
    ByteCount: strawberry.scalar(
        name="ByteCount",
        description="A number of bytes: a 64-bit integer, written as a JSON number.",
        serialize=int,
        parse_value=parse_byte_count,
        parse_literal=_byte_count_literal,
    ),
    Date: strawberry.scalar(
        name="Date",
        description="A day as RFC 3339 writes it, such as `2026-01-31`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=date.isoformat,
        parse_value=parse_date,
        parse_literal=_date_literal,
    ),
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment as RFC 3339 writes it, in UTC, such as `2026-01-31T12:00:00.123456Z`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=serialize_date_time,
        parse_value=parse_date_time,
        parse_literal=_date_time_literal,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="A JSON object whose fields depend on what it tells of.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=dict,
    ),
    URL: strawberry.scalar(
        name="URL",
        description="An absolute URL.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3986",
        serialize=str,
    ),
}
