"""The `map` of a multipart request against the operation: where each file belongs, and that it is read once. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLSchema,
    GraphQLType,
    OperationDefinitionNode,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_scalar_type,
    type_from_ast,
)

from api.envelope import EnvelopeBreach, MapInvalid, RequestTooLarge
from api.json_objects import read_object
from api.part_heads import shortened

ROOT = "variables"
UPLOAD = "Upload"

# One spelling per position, so that equal positions are equal strings.
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Operation:
    """What is known of the operation before its variables are coerced; `uses` says how often it reads each."""

    schema: GraphQLSchema
    definition: OperationDefinitionNode
    uses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Place:
    """One upload position among the variables: `container[key]`, a null that the part `part_name` will fill."""

    part_name: str
    path: str
    container: Any
    key: str | int

    def fill(self, value: object) -> None:
        """Put the upload there."""
        self.container[self.key] = value


def read_map(raw: bytes) -> dict[str, list[str]]:
    """The part names with their paths. Raises EnvelopeBreach unless it is an object of lists of strings, none empty."""
    mapping: dict[str, list[str]] = {}
    for name, paths in read_object(raw, "The part “map”").items():
        if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
            raise EnvelopeBreach(f"“map” must give “{shortened(name)}” a list of one or more paths.")
        mapping[name] = paths
    return mapping


def find_places(
    operation: Operation, variables: dict[str, Any], mapping: Mapping[str, list[str]], maximum_files: int
) -> list[Place]:
    """Every position that `map` names, in its order.

    Raises RequestTooLarge for more positions than files are allowed, and MapInvalid unless every path leads to a null
    that is an `Upload` position of its variable's type, is named once, and its variable is used once in the operation.
    """
    named = [(name, path) for name, paths in mapping.items() for path in paths]
    if len(named) > maximum_files:
        raise RequestTooLarge(f"“map” names {len(named)} files; {maximum_files} are allowed in one request.")
    seen: set[str] = set()
    places = []
    for name, path in named:
        if path in seen:
            raise MapInvalid(f"“map” names {shortened(path)} twice.")
        seen.add(path)
        place = _find(operation, variables, name, path)
        variable = path.split(".")[1]
        times = operation.uses.get(variable, 0)
        if times != 1:
            raise MapInvalid(f"The variable ${variable} has a file and is used {times} times; use it once.")
        places.append(place)
    return places


def _find(operation: Operation, variables: dict[str, Any], name: str, path: str) -> Place:
    root, *keys = path.split(".")
    if root != ROOT or not keys:
        raise MapInvalid(f"The path {shortened(path)} in “map” does not begin with “variables.”.")
    position: Any = _declared_type(operation, keys[0])
    if position is None or keys[0] not in variables:
        raise _leads_nowhere(path)
    container: Any = variables
    key: str | int = keys[0]
    value = variables[keys[0]]
    for step in keys[1:]:
        container = value
        kind = get_nullable_type(position)
        if is_list_type(kind) and isinstance(value, list):
            if not _INDEX.fullmatch(step) or int(step) >= len(value):
                raise _leads_nowhere(path)
            key, position = int(step), kind.of_type
            value = value[key]
        elif is_input_object_type(kind) and isinstance(value, dict):
            if step not in kind.fields or step not in value:
                raise _leads_nowhere(path)
            key, position = step, kind.fields[step].type
            value = value[key]
        else:
            raise _leads_nowhere(path)
    kind = get_nullable_type(position)
    if not (is_scalar_type(kind) and kind.name == UPLOAD):
        raise MapInvalid(f"The path {shortened(path)} in “map” does not lead to an upload.")
    if value is not None:
        raise MapInvalid(f"The value at {shortened(path)} must be null: “map” puts a file there.")
    return Place(name, path, container, key)


def _declared_type(operation: Operation, variable: str) -> GraphQLType | None:
    for definition in operation.definition.variable_definitions or ():
        if definition.variable.name.value == variable:
            return type_from_ast(operation.schema, definition.type)
    return None


def _leads_nowhere(path: str) -> MapInvalid:
    return MapInvalid(f"The path {shortened(path)} in “map” leads nowhere in the variables.")
