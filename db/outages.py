"""Which faults are the database's own state: away, full, or with no connection left. They pass; bugs do not."""

import socket
from collections.abc import Iterator
from typing import Final

from sqlalchemy.exc import TimeoutError as NoConnectionLeft

PASSING: Final = (ConnectionError, socket.gaierror, TimeoutError, NoConnectionLeft)
POSTGRESQL_CLASSES: Final = ("08", "53", "57")
"""Appendix A of PostgreSQL's manual: connections, resources that ran out, and what its operator does."""
SQLITE_CODES: Final = frozenset({5, 10, 13, 14})
"""SQLITE_BUSY, SQLITE_IOERR, SQLITE_FULL and SQLITE_CANTOPEN, without what extended codes add above the first byte."""


def is_outage(fault: BaseException) -> bool:
    """Whether the database is out of order. What was being committed then may be there, or not."""
    return any(_says_so(cause) for cause in _causes(fault))


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    while fault is not None:
        yield fault
        fault = fault.__cause__


def _says_so(fault: BaseException) -> bool:
    state = getattr(fault, "sqlstate", None) or ""
    code = getattr(fault, "sqlite_errorcode", None) or 0
    return isinstance(fault, PASSING) or state[:2] in POSTGRESQL_CLASSES or code & 0xFF in SQLITE_CODES
