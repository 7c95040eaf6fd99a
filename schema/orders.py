"""Which way lists are sorted, and the values that their cursors carry."""

from enum import Enum

import strawberry

from domain.names import fold


@strawberry.enum(description="Which way a list is sorted.")
class OrderDirection(Enum):
    """Up or down."""

    ASC = strawberry.enum_value("ASC", description="Smallest, earliest or first in the alphabet first.")
    DESC = strawberry.enum_value("DESC", description="Largest, latest or last in the alphabet first.")


def parse_folded(value: object) -> str:
    """What a cursor says of a folded name. Raises ValueError."""
    if not isinstance(value, str) or fold(value) != value:
        raise ValueError("not a folded name")
    return value
