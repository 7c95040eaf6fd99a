"""What a GraphQL document asks for, measured before it is validated: depth, fields, aliases, directives and cost.

One pass over the parsed document, each fragment once, so that doubled fragments cost what their text is long, not what
they expand to. What is wrong with a document (unknown names, cycles) is left to validation, and does not
disturb the pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)
from graphql.utilities.coerce_input_value import coerce_default_value

from schema.connections import PAGE_DEFAULT, PAGE_MAXIMUM

INTROSPECTION_PAGE: Final = 4
INTROSPECTION_BASE: Final = 2_000
"""What `__schema` costs beside its fields: it is asked for once, and many aliases of it are an attack."""
_CEILING: Final = 1_000_000_000
"""Measures stop here: beyond every limit, and still a number in every JSON parser."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """What a document (`bytes`, `tokens`), and each operation in it (the rest), may ask for at most.

    `comparisons` bounds what validation spends on finding fields that share a response name and differ.
    """

    bytes: int = 64 * 1024
    tokens: int = 2_000
    depth: int = 12
    fields: int = 500
    aliases: int = 30
    directives: int = 50
    cost: int = 10_000
    comparisons: int = 20_000


@dataclass(frozen=True, slots=True)
class Price:
    """What an operation asks for, fragments expanded: levels of fields, how many of each, and values in the answer.

    `cost` counts every field once for each object that it may be resolved on: a list multiplies what is selected in it
    by its `first` or `last` (100 where a variable says it), by the number of its `ids`, or by 25.
    """

    depth: int
    fields: int
    aliases: int
    directives: int
    cost: int


@dataclass(slots=True)
class _Sum:
    """Measures of a selection set. `paged` is what each entry of the page costs whose size the field around it says."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    plain: int = 0
    paged: int = 0

    def add(self, other: "_Sum") -> None:
        self.depth = max(self.depth, other.depth)
        self.fields = min(self.fields + other.fields, _CEILING)
        self.aliases = min(self.aliases + other.aliases, _CEILING)
        self.directives = min(self.directives + other.directives, _CEILING)
        self.plain = min(self.plain + other.plain, _CEILING)
        self.paged = min(self.paged + other.paged, _CEILING)


class _Pass:
    """One pass over one document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._sums: dict[str, _Sum] = {}
        for name in _dependencies_first(self._fragments):
            self._sums[name] = self._definition(self._fragments[name])

    def price(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> Price:
        known = self._fragments.get(node.name.value) is node if node.name else False
        total = self._sums[node.name.value] if node.name and known else self._definition(node)
        cost = min(total.plain + total.paged * PAGE_DEFAULT, _CEILING)
        return Price(total.depth, total.fields, total.aliases, total.directives, cost)

    def _definition(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> _Sum:
        parent = (
            self._schema.get_root_type(node.operation)
            if isinstance(node, OperationDefinitionNode)
            else self._schema.get_type(node.type_condition.name.value)
        )
        total = self._selections(node.selection_set, parent)
        total.directives += len(node.directives or ())
        return total

    def _selections(self, selection_set: SelectionSetNode | None, parent: GraphQLNamedType | None) -> _Sum:
        total = _Sum()
        for node in selection_set.selections if selection_set else ():
            total.directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                total.add(self._field(node, parent))
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                total.add(self._selections(node.selection_set, inner))
            elif isinstance(node, FragmentSpreadNode):
                # Absent while the pass is inside it: a cycle, which validation refuses.
                total.add(self._sums.get(node.name.value, _Sum()))
        return total

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> _Sum:
        definition = _field_definition(self._schema, parent, node.name.value)
        named = get_named_type(definition.type) if definition else None
        inner = self._selections(node.selection_set, named)
        page = _page(definition, node)
        own = INTROSPECTION_BASE if node.name.value == "__schema" else 1
        each = min(own + inner.plain + inner.paged * (PAGE_DEFAULT if page is None else page), _CEILING)
        # A list of plain values is read at once: nothing is selected in it that would cost more.
        is_list = definition is not None and _is_list(definition) and node.selection_set is not None
        plain, paged = (each, 0) if not is_list else (1, each) if page is None else (1 + page * each, 0)
        if is_list and parent is not None and parent.name.startswith("__"):
            plain, paged = 1 + INTROSPECTION_PAGE * each, 0
        return _Sum(
            # A type wrapped in list and non-null is a chain that ends by itself; introspection unwraps it.
            depth=inner.depth + (node.name.value != "ofType"),
            fields=inner.fields + 1,
            aliases=inner.aliases + (node.alias is not None),
            directives=inner.directives,
            plain=min(plain, _CEILING),
            paged=paged,
        )


def prices(schema: GraphQLSchema, document: DocumentNode) -> list[Price]:
    """The price of every operation and every fragment, in the order of the document.

    Fragments are priced for themselves too, since validation, and its cost, do not depend on their use.
    """
    run = _Pass(schema, document)
    return [
        run.price(node)
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]


def excesses(price: Price, limits: QueryLimits) -> list[GraphQLError]:
    """An error for each limit that the price is over; none when it is within all of them."""
    asked = {field.name: getattr(price, field.name) for field in fields(price)}
    return [
        too_complex(limit, allowed, count)
        for limit, count in asked.items()
        if count > (allowed := getattr(limits, limit))
    ]


def too_complex(limit: str, allowed: int, asked: int | None = None) -> GraphQLError:
    """An error that names the limit, what it allows and what was asked; None: more, and nobody went on counting."""
    return GraphQLError(
        f"The query is over the limit of {limit}: {asked or 'more'} asked for, {allowed} allowed.",
        extensions={"code": "QUERY_TOO_COMPLEX", "limit": limit, "allowed": allowed, "asked": asked},
    )


def _field_definition(schema: GraphQLSchema, parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
    if parent is None or not hasattr(parent, "fields"):
        return None
    return schema.get_field(parent, name)  # type: ignore[arg-type]  # objects and interfaces; inputs have no such field


def _is_list(definition: GraphQLField) -> bool:
    return is_list_type(get_nullable_type(definition.type))


def _page(definition: GraphQLField | None, node: FieldNode) -> int | None:
    """How many entries the field says its list has; None when it does not say."""
    if definition is None:
        return None
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    if "ids" in definition.args:
        return _length(given.get("ids"))
    if "first" not in definition.args and "last" not in definition.args:
        return None
    sizes = [size for name in ("first", "last") if (size := _size(given.get(name))) is not None]
    return max(sizes) if sizes else _default_page(definition)


def _size(value: ValueNode | None) -> int | None:
    if value is None or isinstance(value, NullValueNode):
        return None
    if isinstance(value, IntValueNode) and len(value.value) <= len(str(PAGE_MAXIMUM)):
        return _clamped(int(value.value))
    return PAGE_MAXIMUM


def _length(value: ValueNode | None) -> int:
    return _clamped(len(value.values)) if isinstance(value, ListValueNode) else PAGE_MAXIMUM


def _default_page(definition: GraphQLField) -> int:
    argument = definition.args.get("first")
    default = None if argument is None else coerce_default_value(argument)
    return _clamped(default) if isinstance(default, int) else PAGE_DEFAULT


def _clamped(size: int) -> int:
    """Larger pages are refused when the field is resolved, so they never cost more."""
    return max(1, min(size, PAGE_MAXIMUM))


def _dependencies_first(fragments: dict[str, FragmentDefinitionNode]) -> list[str]:
    """Fragment names, each after those that it spreads. Walks without recursion: chains of fragments may be long."""
    order: dict[str, None] = {}
    seen: set[str] = set()
    for root, fragment in fragments.items():
        path: list[tuple[str, Iterator[str]]] = [] if root in seen else [(root, iter(_spreads(fragment)))]
        seen.add(root)
        while path:
            name, spreads = path[-1]
            following = next((spread for spread in spreads if spread in fragments and spread not in seen), None)
            if following is None:
                order[name] = None
                path.pop()
            else:
                seen.add(following)
                path.append((following, iter(_spreads(fragments[following]))))
    return list(order)


def _spreads(fragment: FragmentDefinitionNode) -> Sequence[str]:
    found: list[str] = []
    stack: list[SelectionSetNode] = [fragment.selection_set]
    while stack:
        for node in stack.pop().selections:
            if isinstance(node, FragmentSpreadNode):
                found.append(node.name.value)
            elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
                stack.append(node.selection_set)
    return found
