"""Selects that are asked on every request, with what can be done once for all of them done once.

SQLAlchemy renders a list of ids anew for each length of it, and takes several times as long to hand a statement to
PostgreSQL's driver and rows back as the driver takes for its part. These selects have one text, in which a list is an
array, and go to the driver as they are.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Executable, Uuid
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

_LIST = re.compile(r" IN \(__\[POSTCOMPILE_(\w+)\]\)")


class FrequentSelect:
    """A select whose lists, of ids or text, are parameters: `column.in_(bindparam(name, expanding=True))`.

    Its columns are of types that the driver itself gives as they are wanted: ids, text, numbers and times, no JSON.
    """

    def __init__(self, statement: Executable) -> None:
        self.statement = statement

    def arguments(self, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """The driver's arguments, in the order of `text`."""
        return [parameters.get(name, value) for name, value in self._fixed.items()]

    @cached_property
    def text(self) -> str:
        """The statement as PostgreSQL is sent it."""
        numbers = {name: number for number, name in enumerate(self._fixed, 1)}
        compiled = self._compiled

        def array(found: re.Match[str]) -> str:
            kind = "UUID" if isinstance(compiled.binds[found[1]].type, Uuid) else "VARCHAR"
            return f" = ANY (${numbers[found[1]]}::{kind}[])"

        return _LIST.sub(array, compiled.string)

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        """Every parameter with the value that stands in the statement itself, lists last."""
        compiled = self._compiled
        single = list(compiled.positiontup or ())
        lists = list(dict.fromkeys(_LIST.findall(compiled.string)))
        values = compiled.params
        return {name: values[name] for name in [*(name for name in single if name not in lists), *lists]}

    @cached_property
    def _compiled(self) -> Any:  # noqa: ANN401 - what the compiler knows of a statement has no public type
        return cast("Any", self.statement).compile(dialect=cast("Any", PGDialect_asyncpg)())
