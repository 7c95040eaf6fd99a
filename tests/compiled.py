"""What statements are compiled to, once for all databases of a kind.

SQLAlchemy keeps it with the engine. Each test opens its own, and would pay for every statement again: a tenth of what
tests in this process cost.
"""

from collections.abc import Hashable
from typing import Any

from sqlalchemy import Connection, Engine, event


class Compiled(dict[Any, Any]):
    """Compiled statements, by statement and kind of dialect: each engine has a dialect of its own."""

    def get(self, key: tuple[Hashable, ...], default: Any = None) -> Any:
        return super().get(_of_any_engine(key), default)

    def __setitem__(self, key: tuple[Hashable, ...], compiled: Any) -> None:
        super().__setitem__(_of_any_engine(key), compiled)


def _of_any_engine(key: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    dialect, *rest = key
    return type(dialect), *rest


_compiled = Compiled()


def share_compiled() -> None:
    """Have all engines of this process share them from now on."""
    event.listen(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_compiled)
