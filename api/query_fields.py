"""The fields of a query string that is small and says each thing once."""

from typing import Final
from urllib.parse import parse_qsl

from domain.errors import InvalidInput

MAXIMUM_FIELDS: Final = 16


def fields_of(query: bytes) -> dict[str, str]:
    """The fields by name. Raises InvalidInput."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=MAXIMUM_FIELDS)
    except ValueError as error:
        raise InvalidInput(message="The query string cannot be read.") from error
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidInput(message="A field of the query string is given twice.")
    return values
