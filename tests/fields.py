"""The printed schema, walked: its root fields, where they and others take ids, and how each is asked with the least."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_leaf_type,
)
from httpx2 import AsyncClient, Response
from strawberry.utils.str_converters import to_snake_case

from schema.schema import build_schema as own_schema
from tests.streaming import first_answer

PREFLIGHT = {"GraphQL-Require-Preflight": "1"}
MULTIPART = {"uploadFile": ["variables.input.file"], "uploadFiles": ["variables.input.files.0.file"]}
CONTENT = b"a few words\n"
VALUES = {"ID": "file_" + "0" * 32, "String": "word", "Int": 1, "Boolean": False, "ByteCount": 1, "Upload": None}

# Ids that a client makes up: they name nothing yet, and are refused where they do.
CHOSEN = {"uploadId"}

# How one comes to a field that is no root field and takes an id. A new one needs a line here.
WAYS = {"Account.activity": ("viewer", "account")}

Path = tuple[str, ...]
Given = Mapping[Path, object]


@dataclass(frozen=True, slots=True)
class Field:
    """A field, the fields that lead to it from the root, and where in its arguments it takes ids."""

    operation: str
    name: str
    way: Path
    definition: GraphQLField

    @property
    def verb(self) -> str:
        """How the rules call it."""
        return to_snake_case(self.name)

    @property
    def places(self) -> list[Path]:
        """Where it takes an id: `("input", "id")`. The places of a list's items are the list's."""
        return [
            (key, *rest) for key, argument in self.definition.args.items() for rest in _places_of_ids(argument.type)
        ]

    def is_needed(self, place: Path) -> bool:
        """Whether it cannot be asked without this value."""
        given: GraphQLArgument | GraphQLInputField = self.definition.args[place[0]]
        needed = _is_needed(given)
        for name in place[1:]:
            within = get_named_type(given.type)
            assert isinstance(within, GraphQLInputObjectType)
            given = within.fields[name]
            needed = needed and _is_needed(given)
        return needed

    def body(self, given: Given) -> dict[str, Any]:
        """A request with these values, and beside them the least that the field takes."""
        inner = {key: _below(given, key) for key in self.definition.args}
        passed = {
            key: argument for key, argument in self.definition.args.items() if inner[key] or _is_asked(key, argument)
        }
        declared = ", ".join(f"${key}: {argument.type}" for key, argument in passed.items())
        named = ", ".join(f"{key}: ${key}" for key in passed)
        asked = f"{self.name}({named})" if passed else self.name
        document = f"{asked} {_selection(self.definition.type)}"
        for name in reversed(self.way):
            document = f"{name} {{ {document} }}"
        head = f"{self.operation} T({declared})" if passed else f"{self.operation} T"
        variables = {key: _value(argument.type, inner[key]) for key, argument in passed.items()}
        return {"query": f"{head} {{ {document} }}", "variables": variables}

    async def ask(self, client: AsyncClient, headers: Mapping[str, str], given: Given | None = None) -> Response:
        """The answer to a request with these values."""
        body = self.body(given or {})
        if self.operation == "subscription":
            return await first_answer(client, body, headers)
        if self.name not in MULTIPART:
            return await client.post("/graphql", json=body, headers=headers)
        parts = {"operations": json.dumps(body), "map": json.dumps({"0": MULTIPART[self.name]})}
        return await client.post(
            "/graphql", data=parts, files={"0": ("a.txt", CONTENT)}, headers={**PREFLIGHT, **headers}
        )


@cache
def printed() -> GraphQLSchema:
    return build_schema(str(own_schema()))


def root_fields() -> list[Field]:
    """What a request can begin with."""
    schema = printed()
    roots = [root for root in (schema.query_type, schema.mutation_type, schema.subscription_type) if root]
    return [Field(root.name.lower(), name, (), field) for root in roots for name, field in root.fields.items()]


def nested_fields() -> Iterator[tuple[str, Field]]:
    """The fields of other types that take an id, under the names that `WAYS` knows them by."""
    roots = {printed().query_type, printed().mutation_type, printed().subscription_type}
    for kind in printed().type_map.values():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and kind not in roots:
            for name, definition in kind.fields.items():
                field = Field("query", name, WAYS.get(f"{kind.name}.{name}", ()), definition)
                if field.places and not kind.name.startswith("__"):
                    yield f"{kind.name}.{name}", field


def node_types() -> set[str]:
    """What `node` finds, in lower case."""
    node = printed().type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    return {to_snake_case(kind.name) for kind in printed().get_possible_types(node)}


def _below(given: Given, key: str) -> Given:
    return {path[1:]: value for path, value in given.items() if path[0] == key}


def _is_asked(key: str, given: GraphQLArgument | GraphQLInputField) -> bool:
    return _is_needed(given) or key == "input"


def _is_needed(given: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(given.type, GraphQLNonNull) and not given.default_value


def _places_of_ids(kind: GraphQLInputType) -> Iterator[Path]:
    named = get_named_type(kind)
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            if name not in CHOSEN:
                yield from ((name, *rest) for rest in _places_of_ids(field.type))
    elif named.name == "ID":
        yield ()


def _value(kind: GraphQLInputType, given: Given) -> Any:
    if isinstance(kind, GraphQLNonNull):
        return _value(kind.of_type, given)
    if isinstance(kind, GraphQLList):
        whole = given.get(())
        return whole if isinstance(whole, list) else [_value(kind.of_type, given)]
    if () in given:
        return given[()]
    if isinstance(kind, GraphQLInputObjectType):
        fields = {name: (field, _below(given, name)) for name, field in kind.fields.items()}
        return {
            name: _value(field.type, inner) for name, (field, inner) in fields.items() if inner or _is_needed(field)
        }
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    assert isinstance(kind, GraphQLScalarType)
    return VALUES[kind.name]


def _selection(kind: GraphQLOutputType) -> str:
    """Why it was refused, and what is in a list."""
    named = get_named_type(kind)
    if is_leaf_type(named):
        return ""
    assert isinstance(named, GraphQLObjectType | GraphQLInterfaceType)
    selected = ["__typename"]
    if "problems" in named.fields:
        selected.append("problems { code message path }")
    if named.name.endswith("Connection"):
        selected.append("nodes { __typename } totalCount pageInfo { hasNextPage startCursor }")
    elif "results" in named.fields:
        selected.append(f"results {_selection(named.fields['results'].type)}")
    return "{ " + " ".join(selected) + " }"
