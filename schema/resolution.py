"""Resolving an operation over Strawberry's schema: graphql-core's execution, with a short way for plain fields.

A field that only reads an attribute, or calls a method that wants nothing but the object, needs no path, no info and no
arguments. Nine of ten fields of a list are such; whatever is unusual about a value sends it the long way.
"""

from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self, cast

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, Undefined, get_nullable_type, is_leaf_type
from graphql.execution import Executor
from graphql.pyutils import Path
from strawberry.types.field import StrawberryField

Read = Callable[[Any], Any]

_LONG_WAY: Final = object()


class ResolveInfo(NamedTuple):
    """What graphql-core tells a resolver, and the `operation_extensions` that Strawberry's `Info` reads beside it."""

    field_name: str
    field_nodes: list[Any]
    return_type: Any
    parent_type: Any
    path: Any
    schema: Any
    fragments: Any
    root_value: Any
    operation: Any
    variable_values: dict[str, Any]
    context: Any
    is_awaitable: Any
    abort_signal: Any
    async_helpers: Any
    operation_extensions: dict[str, Any] | None


class _Planned(NamedTuple):
    name: str
    details: list[Any]
    short: Read | None


class Shortcuts:
    """The plain fields of a schema, found once each."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._found: dict[tuple[str, str], Read | None] = {}

    def find(self, parent_type: GraphQLObjectType, field_name: str) -> Read | None:
        """The short way to the field's value in an answer, as a function of the object; None where there is none."""
        key = parent_type.name, field_name
        if key not in self._found:
            self._found[key] = self._make(parent_type, field_name)
        return self._found[key]

    def _make(self, parent_type: GraphQLObjectType, field_name: str) -> Read | None:
        if field_name == "__typename":
            return lambda _: parent_type.name
        definition = self._schema.get_field(parent_type, field_name)
        own = definition.extensions.get("strawberry-definition") if definition else None
        if definition is None or definition.args or not isinstance(own, StrawberryField):
            return None
        leaf, read = get_nullable_type(definition.type), _read(own)
        if read is None or not is_leaf_type(leaf):
            return None
        return _short(read, leaf.coerce_output_value, nullable=leaf is definition.type)


class Resolving(Executor[None]):
    """One operation being resolved. `@defer` and `@stream` are not offered."""

    def __init__(self, *args: Any, shortcuts: Shortcuts, **kwargs: Any) -> None:  # noqa: ANN401 - graphql-core's own
        super().__init__(*args, **kwargs)
        self._shortcuts = shortcuts
        self._plans: dict[int, tuple[dict[str, list[Any]], list[_Planned]]] = {}

    def build_per_event_executor(self, payload: object) -> Self:
        """The same for one event of a subscription, which is what it is resolved from."""
        return cast("Self", super().build_per_event_executor(payload))

    def build_resolve_info(  # type: ignore[override]  # Strawberry's Info wants one field more, and plain variables
        self, field_def: GraphQLField, field_nodes: list[Any], parent_type: GraphQLObjectType, path: Path
    ) -> ResolveInfo:
        """What the resolver is told."""
        return ResolveInfo(
            field_nodes[0].name.value,
            field_nodes,
            field_def.type,
            parent_type,
            path,
            self.schema,
            self.fragment_definitions,
            self.root_value,
            self.operation,
            self.variable_values.coerced,
            self.context_value,
            self.is_awaitable,
            self.abort_signal,
            self.async_helpers,
            None,
        )

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,  # noqa: ANN401 - whatever the resolver above returned
        path: Path | None,
        grouped_field_set: dict[str, list[Any]],
        position_context: None,
    ) -> Any:  # noqa: ANN401 - a dict, or an awaitable of one
        """The object's fields: plain ones at once, the others as graphql-core resolves them."""
        # graphql-core hands over the same set for every entry of a list; held here, no other can have its identity.
        held = self._plans.get(id(grouped_field_set))
        if held is None:
            held = grouped_field_set, self._plan(parent_type, grouped_field_set)
            self._plans[id(grouped_field_set)] = held
        results: dict[str, Any] = {}
        others: dict[str, list[Any]] = {}
        for name, details, short in held[1]:
            # Every name takes its place now: an answer has its fields in the order of the request.
            value = results[name] = _LONG_WAY if short is None else short(source_value)
            if value is _LONG_WAY:
                others[name] = details
        if not others:
            return results
        resolved = super().execute_fields(parent_type, source_value, path, others, position_context)
        if self.is_awaitable(resolved):
            return _completed(results, cast("Awaitable[dict[str, Any]]", resolved))
        results.update(cast("dict[str, Any]", resolved))
        return results

    def _plan(self, parent_type: GraphQLObjectType, grouped_field_set: dict[str, list[Any]]) -> list[_Planned]:
        return [
            _Planned(name, details, self._shortcuts.find(parent_type, details[0].node.name.value))
            for name, details in grouped_field_set.items()
        ]


async def _completed(results: dict[str, Any], resolved: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    results.update(await resolved)
    return results


def _short(read: Read, coerce: Read, *, nullable: bool) -> Read:
    """Read a leaf and bring it into its JSON form; what is null, raises or does not fit goes the long way."""

    def short(source: object) -> object:
        try:
            value = read(source)
            if value is None:
                return None if nullable else _LONG_WAY
            result = coerce(value)
        except Exception:  # noqa: BLE001 - the long way meets it again, and says where
            return _LONG_WAY
        return _LONG_WAY if result is None or result is Undefined else result

    return short


def _read(field: StrawberryField) -> Read | None:
    """The function of the object that gives the field's value, where it is one; no extensions, arguments or info."""
    if field.extensions or field.arguments or field.is_async:
        return None
    if field.base_resolver is None:
        return cast("Read", attrgetter(field.python_name)) if field.default_resolver is getattr else None
    resolver = field.base_resolver
    takes_only_self = resolver.self_parameter is not None and len(resolver.signature.parameters) == 1
    return cast("Read", resolver.wrapped_func) if takes_only_self else None
