"""Which faults are the database's own state: away, full, or with no connection left. They pass; bugs do not."""

import socket
from collections.abc import Iterator
from typing import Final

from asyncpg.exceptions import InterfaceError, InternalClientError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

PASSING: Final = (ConnectionError, socket.gaierror, TimeoutError, NoConnectionLeft)
POSTGRESQL_CLASSES: Final = ("08", "53", "57")
"""Appendix A of PostgreSQL's manual: connections, resources that ran out, and what its operator does."""
SQLITE_CODES: Final = frozenset({5, 10, 13, 14})
"""SQLITE_BUSY, SQLITE_IOERR, SQLITE_FULL and SQLITE_CANTOPEN, without what extended codes add above the first byte."""
CLOSED: Final = "connection is closed"
"""How PostgreSQL's driver ends its sentences where a connection had been lost before it was asked something."""
TOLD_UNASKED: Final = "another operation (2) is in progress"
"""What it says where the server has spoken without being asked, which is to say why it hangs up, and has not hung up
yet: the moment is short, but whoever asks many questions meets it. Its other numbers are those of its own faults."""


def is_outage(fault: BaseException) -> bool:
    """Whether the database is out of order. What was being committed then may be there, or not."""
    return any(map(_says_so, _causes(fault)))


def described(outage: BaseException) -> str:
    """An outage in one line for operators: the class, the code and the words of what it goes back to."""
    causes = [cause for cause in _causes(outage) if _says_so(cause)]
    # What a server has said is more than that it hung up then, and what the driver says of it is more than both.
    cause = ([cause for cause in causes if _code_of(cause)] or causes)[-1]
    name = f"{type(cause).__name__} {_code_of(cause)}".rstrip()
    return ": ".join(filter(None, [name, str(cause).partition("\n")[0]]))


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    while fault is not None:
        yield fault
        fault = fault.__cause__


def _code_of(fault: BaseException) -> str:
    return getattr(fault, "sqlstate", None) or getattr(fault, "sqlite_errorname", None) or ""


def _says_so(fault: BaseException) -> bool:
    state = getattr(fault, "sqlstate", None) or ""
    code = getattr(fault, "sqlite_errorcode", None) or 0
    is_known = isinstance(fault, PASSING) or state[:2] in POSTGRESQL_CLASSES or code & 0xFF in SQLITE_CODES
    return is_known or _is_lost_connection(fault)


def _is_lost_connection(fault: BaseException) -> bool:
    """Whether the driver itself refused to ask. It does the same to whoever uses it wrongly, in other words."""
    told = str(fault)
    is_closed = isinstance(fault, InterfaceError) and told.endswith(CLOSED)
    return is_closed or (isinstance(fault, InternalClientError) and told.endswith(TOLD_UNASKED))
