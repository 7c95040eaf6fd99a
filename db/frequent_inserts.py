"""Inserts that are made for every upload: rows of several tables by one statement, where the database takes lists.

A statement costs more than the rows it writes. PostgreSQL is given each column of each table as a list, in a text that
is the same for any number of rows, and sees to keys that point from one table to another once all are written.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import JSON, Column, Select, String, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
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
        *before, last = [_of_lists(table) for table in self.tables]
        return FrequentSelect(last.add_cte(*(each.cte(f"{each.table.name}_written") for each in before)))

    def parameters(self, values: Iterable[Values]) -> dict[str, list[Any]]:
        """The parameters of `statement` for the rows of each table."""
        return {
            name: _given(column, [row.get(column.name) for row in rows])
            for columns, rows in zip(self._columns, values, strict=True)
            for name, column in columns
        }

    @cached_property
    def _columns(self) -> list[list[tuple[str, Column[Any]]]]:
        return [[(_name(column), column) for column in _columns_of(table)] for table in self.tables]


def lists_of(table: type[SQLModel], names: Sequence[str]) -> Select[*tuple[Any, ...]]:
    """Rows made of lists, one for each column that is named: the parameters are called `table_column`."""
    by_name = {column.name: column for column in _columns_of(table)}
    columns = [by_name[name] for name in names]
    lists = (bindparam(_name(column), type_=ARRAY(_type_of(column))) for column in columns)
    return select(*func.unnest(*lists).table_valued(*(column.name for column in columns)).render_derived().c)


def _of_lists(table: type[SQLModel]) -> Insert:
    names = [column.name for column in _columns_of(table)]
    return insert(table).from_select(names, lists_of(table, names))


def _columns_of(table: type[SQLModel]) -> list[Column[Any]]:
    """Those that have to be given."""
    whole = table.metadata.tables[str(table.__tablename__)]
    return [column for column in whole.columns if column is not whole.autoincrement_column]


def _name(column: Column[Any]) -> str:
    return f"{column.table.name}_{column.name}"


def _type_of(column: Column[Any]) -> Any:  # noqa: ANN401 - a type of any kind
    # Which order text has is for the column it goes to.
    return String() if isinstance(column.type, String) else column.type


def _given(column: Column[Any], values: list[Any]) -> list[Any]:
    if isinstance(column.type, JSON):
        return [None if value is None else json.dumps(value) for value in values]
    return values
