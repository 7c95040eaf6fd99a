"""From a request's text to its answer: `prepare` judges the document, `coerce` its variables, `execute` resolves it.

The three are apart so that uploads can be admitted between the second and the third. Strawberry builds the schema;
parsing, validation and execution are graphql-core's. Prepared documents are kept, and every error gets its code here.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    default_field_resolver,
    default_type_resolver,
    get_variable_values,
    parse,
    specified_rules,
    validate,
)
from graphql.execution import create_source_event_stream
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import VariableValues
from graphql.validation import MaxIntrospectionDepthRule, OverlappingFieldsCanBeMergedRule, ValidationContext
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.answers import Report, coded, formatted
from schema.pricing import QueryLimits, excesses, prices, too_complex
from schema.resolution import Resolving, Shortcuts
from schema.variable_uses import variable_uses

Variables = VariableValues
"""Coerced variables: `coerced` has the values by name, `sources` what they were made from."""

MAXIMUM_ERRORS: Final = 20
KEPT_CHARACTERS: Final = 128 * 1024
"""Prepared documents are kept while their texts are this long together; a tree weighs over 130 bytes a character."""

_COMPARED_TOO_MUCH: Final = "Validation aborted."  # graphql-core's words for a comparison budget that is spent


class QueryRefused(Exception):  # noqa: N818 - the service says no
    """A document or its variables are refused before execution: each error has `extensions.code`; `status` is 4xx."""

    def __init__(self, errors: list[GraphQLError], status: int = 400) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors
        self.status = status


@dataclass(frozen=True)
class Prepared:
    """A document that may be executed, the operation chosen in it, the names of that one's root fields, its cost."""

    document: DocumentNode
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    root_fields: frozenset[str]
    cost: int

    @property
    def kind(self) -> OperationType:
        """Whether the operation asks for something or changes something."""
        return self.operation.operation

    @cached_property
    def variable_uses(self) -> Mapping[str, int]:
        """How often the operation reads each of its variables."""
        return variable_uses(self.operation, self.fragments)


class Executor:
    """Answers what one schema is asked. Without introspection nothing describes the schema, suggestions included."""

    def __init__(
        self, schema: strawberry.Schema, limits: QueryLimits, report: Report, *, introspection: bool = True
    ) -> None:
        self.schema: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry has no other door to what it built
        self._limits = limits
        self._report = report
        self._secretive = not introspection
        self._rules = _rules(limits, introspection=introspection)
        self._shortcuts = Shortcuts(self.schema)
        self._kept: OrderedDict[tuple[str, str | None], Prepared] = OrderedDict()
        self._kept_characters = 0

    def prepare(self, query: str, operation_name: str | None = None) -> Prepared:
        """Parse, price and validate a document and choose its operation. Raises QueryRefused."""
        key = query, operation_name or None
        prepared = self._kept.get(key)
        if prepared is None:
            document, costs = self._validated(query)
            prepared = _prepared(document, operation_name or None, costs)
            self._keep(key, prepared)
        else:
            self._kept.move_to_end(key)
        return prepared

    def coerce(self, prepared: Prepared, raw: Mapping[str, Any]) -> Variables:
        """Give variables the types that the operation declares. Raises QueryRefused."""
        definitions = prepared.operation.variable_definitions or ()
        values = get_variable_values(
            self.schema, definitions, dict(raw), max_errors=MAXIMUM_ERRORS, hide_suggestions=self._secretive
        )
        if isinstance(values, list):
            raise QueryRefused(coded(values, "BAD_USER_INPUT"))
        return values

    async def execute(
        self, prepared: Prepared, variables: Variables, context: object, request_id: str | None = None
    ) -> dict[str, Any]:
        """Resolve the operation. The answer has `data`, and `errors` when there are any, ready for JSON."""
        return await self._answer(self._resolving(prepared, variables, context), request_id)

    async def subscribe(
        self, prepared: Prepared, variables: Variables, context: object, request_id: str | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Answers of a subscription, one for each event. One without `data` says why it ends, and is the last.

        Whoever stops before the end closes the generator.
        """
        run = self._resolving(prepared, variables, context)
        source: Any = create_source_event_stream(run)
        source = await source if optimized_is_awaitable(source) else source
        if isinstance(source, ExecutionResult):
            yield {"errors": formatted(source.errors or (), self._report, request_id)}
            return
        try:
            async for event in source:
                yield await self._answer(run.build_per_event_executor(event), request_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, a refusal is told and a fault is masked
            yield {"errors": formatted([GraphQLError(str(error), original_error=error)], self._report, request_id)}
        finally:
            await source.aclose()

    def _resolving(self, prepared: Prepared, variables: Variables, context: object) -> Resolving:
        return Resolving(
            self.schema,
            prepared.fragments,
            {name: FragmentDetails(fragment) for name, fragment in prepared.fragments.items()},
            None,
            context,
            prepared.operation,
            variables,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=optimized_is_awaitable,
            hide_suggestions=self._secretive,
            shortcuts=self._shortcuts,
        )

    async def _answer(self, run: Resolving, request_id: str | None) -> dict[str, Any]:
        outcome: Any = run.execute_operation()
        result: ExecutionResult = await outcome if optimized_is_awaitable(outcome) else outcome
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = formatted(result.errors, self._report, request_id)
        return answer

    def _validated(self, query: str) -> tuple[DocumentNode, list[int]]:
        length = len(query) if len(query) > self._limits.bytes else len(query.encode("utf-8", "replace"))
        if length > self._limits.bytes:
            raise QueryRefused([too_complex("bytes", self._limits.bytes, length)])
        document = _parsed(query, self._limits.tokens)
        priced = prices(self.schema, document)
        errors = [error for price in priced for error in excesses(price, self._limits)]
        if errors:
            raise QueryRefused(errors[:MAXIMUM_ERRORS])
        errors = validate(self.schema, document, self._rules, MAXIMUM_ERRORS, hide_suggestions=self._secretive)
        if any(error.message == _COMPARED_TOO_MUCH for error in errors):
            raise QueryRefused([too_complex("comparisons", self._limits.comparisons)])
        if self._secretive:
            # A missing selection of subfields is answered with a suggestion whether or not suggestions are hidden.
            for error in errors:
                error.message = error.message.partition(" Did you mean ")[0]
        if errors:
            raise QueryRefused(coded(errors, "GRAPHQL_VALIDATION_FAILED"))
        return document, [price.cost for price in priced]

    def _keep(self, key: tuple[str, str | None], prepared: Prepared) -> None:
        self._kept[key] = prepared
        self._kept_characters += len(key[0])
        while self._kept_characters > KEPT_CHARACTERS:
            (oldest, _), _ = self._kept.popitem(last=False)
            self._kept_characters -= len(oldest)


def _rules(limits: QueryLimits, *, introspection: bool) -> tuple[type[Any], ...]:
    class BoundedOverlapRule(OverlappingFieldsCanBeMergedRule):
        """The specified rule with our bound: its own lets one document validate for seconds."""

        def __init__(self, context: ValidationContext) -> None:
            super().__init__(context)
            self.rule_context.remaining_complexity_budget = limits.comparisons

    specified = [BoundedOverlapRule if rule is OverlappingFieldsCanBeMergedRule else rule for rule in specified_rules]
    hiding = () if introspection else (NoSchemaIntrospectionCustomRule,)
    return (*specified, MaxIntrospectionDepthRule, MaybeNullValidationRule, OneOfInputValidationRule, *hiding)


def _parsed(query: str, maximum_tokens: int) -> DocumentNode:
    try:
        return parse(query, max_lexical_tokens=maximum_tokens)
    except GraphQLError as error:
        if "tokens. Parsing aborted" in error.message:
            raise QueryRefused([too_complex("tokens", maximum_tokens)]) from error
        raise QueryRefused(coded([error], "GRAPHQL_PARSE_FAILED")) from error


def _prepared(document: DocumentNode, operation_name: str | None, costs: list[int]) -> Prepared:
    # A document that has been validated consists of operations and fragments: each has its price.
    operations = [
        (node, cost)
        for node, cost in zip(document.definitions, costs, strict=True)
        if isinstance(node, OperationDefinitionNode)
    ]
    named = [
        (node, cost)
        for node, cost in operations
        if operation_name is None or (node.name and node.name.value == operation_name)
    ]
    if len(named) != 1:
        raise QueryRefused(coded([GraphQLError(_not_chosen(operation_name))], "OPERATION_NOT_FOUND"))
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    [(operation, cost)] = named
    root_fields = frozenset(_root_fields(operation.selection_set, fragments))
    return Prepared(document, operation, fragments, root_fields, cost)


def _not_chosen(operation_name: str | None) -> str:
    if operation_name is None:
        return "Give an operationName: the document has several operations, or none."
    return f"The document has no operation named {operation_name!r}."


def _root_fields(selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> set[str]:
    found: set[str] = set()
    spread: set[str] = set()
    waiting = [selection_set]
    while waiting:
        for node in waiting.pop().selections:
            if isinstance(node, FieldNode):
                found.add(node.name.value)
            elif isinstance(node, InlineFragmentNode):
                waiting.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                waiting.append(fragments[node.name.value].selection_set)
    return found
