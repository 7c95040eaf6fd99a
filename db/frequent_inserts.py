"""Inserts that are made for every upload: rows of several tables by one statement, where the database takes them so.

A statement costs more than the rows it writes. PostgreSQL is given the rows of each table as a list in JSON, by a text
that is the same for any number of rows, and sees to keys that point from one table to another once all are written.
A list for each column would do as well, but its driver looks at each value of those more than once.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import orjson
from sqlalchemy import JSON, Column, Select, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlmodel import SQLModel

from db.frequent import FrequentSelect

Values = Sequence[dict[str, Any]]


class FrequentInsert:
    """Rows of these tables, each after those that it points at. What the rows leave out is null."""

    def __init__(self, *tables: type[SQLModel]) -> None:
        self.tables = tables

    @cached_property
    def statement(self) -> FrequentSelect:
        """All of it, of lists: `parameters` has them."""
        *before, last = [_of_list(table) for table in self.tables]
        return FrequentSelect(last.add_cte(*(each.cte(f"{each.table.name}_written") for each in before)))

    def parameters(self, values: Iterable[Values]) -> dict[str, str]:
        """The parameters of `statement` for the rows of each table."""
        return {_name(table): written(rows) for table, rows in zip(self.tables, values, strict=True)}


def rows_of(table: type[SQLModel], names: Sequence[str]) -> Select[*tuple[Any, ...]]:
    """Rows of a table, with the columns that are named, made of the parameter that is called like the table."""
    by_name = {each.name: each for each in _columns_of(table)}
    columns = (column(name, by_name[name].type) for name in names)
    given = cast(bindparam(_name(table), type_=Text), JSON)
    return select(*func.json_to_recordset(given).table_valued(*columns).render_derived(with_types=True).c)


def written(rows: Values) -> str:
    """Rows as that parameter. The driver has ids of a kind of its own."""
    return orjson.dumps(rows, default=str).decode()


def _of_list(table: type[SQLModel]) -> Insert:
    names = [each.name for each in _columns_of(table)]
    return insert(table).from_select(names, rows_of(table, names))


def _columns_of(table: type[SQLModel]) -> list[Column[Any]]:
    """Those that have to be given."""
    whole = table.metadata.tables[_name(table)]
    return [each for each in whole.columns if each is not whole.autoincrement_column]


def _name(table: type[SQLModel]) -> str:
    return str(table.__tablename__)
