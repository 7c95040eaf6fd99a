"""The settings as lines for an operator: each value as it would be written, and where it comes from."""

import re
from collections.abc import Iterable, Iterator

from pydantic import SecretStr

from api.formats import written_rate
from api.settings import Settings
from api.variables import Reading, variable_of
from db.rates import Rate

MASK = "********"
_PASSWORD = re.compile(r"(?<=://)([^/@]*?):[^@]*@|(?<=password=)[^&]*")


def lines(reading: Reading) -> Iterator[str]:
    """One line per setting: `VARIABLE=value`, then a comment that says where it was found. Secrets are masked."""
    written = {field: f"{variable_of(field)}={_written(field, reading.settings)}" for field in Settings.model_fields}
    for field, text in written.items():
        origin = reading.origins.get(field)
        yield f"{text}  # " + (f"{origin.variable} in {origin.place}" if origin else "default")


def _written(field: str, settings: Settings) -> str:
    value = getattr(settings, field)
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return MASK
    if not isinstance(value, str) and isinstance(value, Iterable):
        pieces = map(str, value)
        return ",".join(sorted(pieces) if isinstance(value, frozenset) else pieces)
    match value:
        case bool():
            text = str(value).lower()
        case float():
            text = f"{value:g}"
        case Rate():
            text = written_rate(value)
        case _:
            text = masked(str(value))
    return text


def masked(url: str) -> str:
    """A URL without its passwords, in the authority or in the query."""
    return _PASSWORD.sub(lambda match: f"{match[1]}:{MASK}@" if match[0].endswith("@") else MASK, url)
