"""Inputs made by what is found out about their types once: Strawberry finds it out anew for every request."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any, NamedTuple

import strawberry
from graphql import GraphQLInputField, get_nullable_type, is_input_object_type, is_scalar_type
from strawberry.types.arguments import InputContext
from strawberry.types.base import StrawberryObjectDefinition

_DEFINITION = "strawberry-definition"


class _Field(NamedTuple):
    name: str
    python_name: str
    kind: Any
    is_scalar: bool


def plan_inputs(schema: strawberry.Schema) -> None:
    """Have each input of a schema made by a plan. What is made is what Strawberry makes."""
    for kind in schema._schema.type_map.values():  # noqa: SLF001 - Strawberry has no other door to what it built
        if is_input_object_type(kind):
            definition: StrawberryObjectDefinition = kind.extensions[_DEFINITION]
            definition.from_input = _planned(definition, kind.fields)


def _planned(
    definition: StrawberryObjectDefinition, fields: Mapping[str, GraphQLInputField]
) -> Callable[[type, Mapping[str, Any], InputContext], Any]:
    planned = [_plan(definition, name, field) for name, field in fields.items()]
    # What a client may leave out and has no default is None; the rest is there, or the request was refused.
    absent = {
        field.python_name: None
        for field in definition.fields
        if field.default_value is MISSING and field.default_factory is MISSING
    }

    def made(kind: type, value: Mapping[str, Any], context: InputContext) -> object:
        given = {
            field.python_name: value[field.name]
            if field.is_scalar
            else context.convert(value[field.name], field.kind, field.name)
            for field in planned
            if field.name in value
        }
        return kind(**absent | given)

    return made


def _plan(definition: StrawberryObjectDefinition, name: str, field: GraphQLInputField) -> _Field:
    own = field.extensions[_DEFINITION]
    # A scalar was parsed when the variables were coerced.
    is_scalar = is_scalar_type(get_nullable_type(field.type))
    return _Field(name, own.python_name, own.resolve_type(type_definition=definition), is_scalar)
