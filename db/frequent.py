"""Selects that are asked on every request, with what can be done once for all of them done once.

SQLAlchemy renders a list of ids anew for each length of it, and takes several times as long to hand a statement to
PostgreSQL's driver and rows back as the driver takes for its part. These selects have one text, in which a list is an
array, and go to the driver as they are.

Those that are asked by lists alone have another text for lists of one. Of an array whose length it does not know
PostgreSQL thinks that it has ten, and that is so much more than one that it would plan anew each time, which takes
several times as long as what is planned.
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

    def asked(self, parameters: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
        """What PostgreSQL is sent: a text, and the arguments in its order."""
        if parameters.keys() == self._lists.keys() and all(len(some) == 1 for some in parameters.values()):
            return self._text_of_one, self._arguments({name: some[0] for name, some in parameters.items()})
        return self.text, self._arguments(parameters)

    @cached_property
    def text(self) -> str:
        """The statement with lists of any length."""
        return _LIST.sub(lambda found: f" = ANY ({self._place(found[1])}[])", self._compiled.string)

    @cached_property
    def _text_of_one(self) -> str:
        return _LIST.sub(lambda found: f" = {self._place(found[1])}", self._compiled.string)

    def _place(self, name: str) -> str:
        kind = "UUID" if isinstance(self._compiled.binds[name].type, Uuid) else "VARCHAR"
        return f"${list(self._fixed).index(name) + 1}::{kind}"

    def _arguments(self, parameters: Mapping[str, Any]) -> Sequence[Any]:
        return [parameters.get(name, value) for name, value in self._fixed.items()]

    @cached_property
    def _lists(self) -> dict[str, None]:
        return dict.fromkeys(_LIST.findall(self._compiled.string))

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        """Every parameter with the value that stands in the statement itself, lists last."""
        compiled = self._compiled
        single = list(compiled.positiontup or ())
        values = compiled.params
        return {name: values[name] for name in [*(name for name in single if name not in self._lists), *self._lists]}

    @cached_property
    def _compiled(self) -> Any:  # noqa: ANN401 - what the compiler knows of a statement has no public type
        return cast("Any", self.statement).compile(dialect=cast("Any", PGDialect_asyncpg)())
