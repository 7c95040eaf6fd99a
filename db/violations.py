"""What a database says where rows break a constraint, as facts that callers can do something about."""

from asyncpg.exceptions import ForeignKeyViolationError, UniqueViolationError
from sqlalchemy.exc import IntegrityError

BROKEN = (UniqueViolationError, ForeignKeyViolationError)
"""What PostgreSQL's driver raises for the constraints that these facts are of."""


class Declined(Exception):  # noqa: N818 - a fact, named as such
    """What was to be written cannot be; where several were to be written together, that may be the fault of one."""


class Duplicate(Declined):
    """A row with these unique values exists already."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self._constraint = constraint

    def concerns(self, column: str) -> bool:
        """Whether the violated constraint is the one on `column`."""
        return self._constraint.endswith(column)


class Missing(Exception):  # noqa: N818
    """What a row points at is not there, or not any more."""


def violation(error: IntegrityError) -> Exception:
    """A Duplicate or a Missing where such a constraint is violated; the error itself for every other constraint."""
    cause = error.orig and error.orig.__cause__
    told = str(error.orig)
    if isinstance(cause, UniqueViolationError | ForeignKeyViolationError):
        return violation_of(cause)
    if told.startswith("UNIQUE constraint failed: "):
        return Duplicate(told)
    return Missing(told) if told.startswith("FOREIGN KEY constraint failed") else error


def violation_of(error: UniqueViolationError | ForeignKeyViolationError) -> Duplicate | Missing:
    """The same, told by PostgreSQL's driver."""
    return Duplicate(error.constraint_name or "") if isinstance(error, UniqueViolationError) else Missing(str(error))
