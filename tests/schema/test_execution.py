import time
from typing import Any

import pytest
import strawberry
from graphql import OperationType, get_introspection_query

from schema.execution import KEPT_CHARACTERS, Executor, QueryRefused
from schema.pricing import QueryLimits
from tests.schema.small import SCHEMA, Around

HOSTILE = {
    "doubled fragments": "{ ...f0 }"
    + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(150))
    + "fragment f150 on Query { hello }",
    "doubled fields": "{ ...f0 }"
    + " ".join(f"fragment f{n} on Query {{ a: things {{ nodes {{ ...f{n + 1} ...f{n + 1} }} }} }}" for n in range(90))
    + "fragment f90 on Query { hello }",
    "unused doubled fragments": "{ hello }"
    + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(150))
    + "fragment f150 on Query { hello }",
    "ten thousand aliases": "{" + " ".join(f"a{n}: hello" for n in range(10_000)) + "}",
    "a megabyte": "{ hello }" + " " * 1_000_000,
    "a megabyte of comments": "{ hello }" + "#\n" * 500_000,
    "nested fields": "{ a" * 5_000 + "}" * 5_000,
    "nested lists": "{ hello(name: " + "[" * 900 + "]" * 900 + ") }",
    "nested objects": "{ hello(name: " + "{a:" * 600 + "1" + "}" * 600 + ") }",
    "nested types": "query ($a: " + "[" * 900 + "Int" + "]" * 900 + ") { hello }",
    "one name many times": "{" + " hello" * 490 + "}",
    "one list many times": "{" + " things { nodes { number name } }" * 120 + "}",
    "one name in many fragments": "{"
    + "".join(f" ...f{n}" for n in range(150))
    + "}"
    + "".join(f" fragment f{n} on Query {{ hello nothing }}" for n in range(150)),
    "unknown fields": "{" + "".join(f" hell{n}" for n in range(490)) + "}",
    "unknown variables": "{ hello(name: $a) " + "".join(f" a{n}: hello(name: $a{n})" for n in range(29)) + "}",
    "many operations": "".join(f" query q{n} {{ ...f }}" for n in range(280)) + " fragment f on Query { hello }",
    "unknown directives": "{ hello" + "".join(f" @d{n}" for n in range(50)) + "}",
    "a long name": "{ " + "a" * 60_000 + " }",
    "a long number": "{ things(first: " + "9" * 60_000 + ") { nodes { number } } }",
    "a long string": '{ hello(name: """' + "a\n" * 30_000 + '""") a }',
    "deep introspection": "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }",
}


class Asking:
    """An executor with its faults and one context."""

    def __init__(self, limits: QueryLimits | None = None, *, introspection: bool = True) -> None:
        self.faults: list[BaseException] = []
        self.around = Around()
        self.executor = Executor(SCHEMA, limits or QueryLimits(), self.faults.append, introspection=introspection)

    async def __call__(self, query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> Any:
        prepared = self.executor.prepare(query, name)
        coerced = self.executor.coerce(prepared, variables or {})
        return await self.executor.execute(prepared, coerced, self.around, "the-request")

    def refusals(self, query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> list[Any]:
        with pytest.raises(QueryRefused) as caught:
            self.executor.coerce(self.executor.prepare(query, name), variables or {})
        assert caught.value.status == 400
        return [error.formatted for error in caught.value.errors]

    def codes(self, query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> list[str]:
        return [error["extensions"]["code"] for error in self.refusals(query, variables, name)]


@pytest.fixture
def ask() -> Asking:
    return Asking()


async def test_an_operation_is_answered_like_strawberry_answers_it(ask: Asking) -> None:
    query = """query List($first: Int!, $on: Boolean!) {
        __typename
        greeting: hello(name: "there")
        things(first: $first) {
            nodes { __typename number name colour tags doubled huge path ...Owned owner { name } late @skip(if: true) }
            nodes @include(if: $on) { twice: doubled }
        }
        wished(wish: { colour: GREEN })
        nothing
    }
    fragment Owned on Thing { owner { name } }"""
    variables = {"first": 5, "on": True}
    stock = await SCHEMA.execute(query, variables, Around())
    answer = await ask(query, variables)
    assert stock.errors is None
    assert answer == {"data": stock.data}
    assert stock.data is not None
    assert list(answer["data"]) == list(stock.data)
    assert list(answer["data"]["things"]["nodes"][0]) == list(stock.data["things"]["nodes"][0])
    assert ask.around.loads == [[0, 1, 2]]


async def test_mutations_run_one_after_the_other(ask: Asking) -> None:
    answer = await ask("mutation { a: touch(number: 1) b: touch(number: 2) }")
    assert answer == {"data": {"a": 1, "b": 2}}


async def test_introspection_answers_like_strawberry_answers_it(ask: Asking) -> None:
    query = get_introspection_query(input_value_deprecation=True, specified_by_url=True)
    stock = await SCHEMA.execute(query)
    assert await ask(query) == {"data": stock.data}


async def test_a_fault_is_masked_and_reported_once_for_each_place(ask: Asking) -> None:
    answer = await ask("{ a: broken things(first: 20) { nodes { late } } }")
    assert answer["data"] == {"a": None, "things": None}
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"INTERNAL"}
    assert {error["extensions"]["requestId"] for error in answer["errors"]} == {"the-request"}
    assert "hunter2" not in str(answer)
    assert "missing" not in str(answer)
    assert [type(fault) for fault in ask.faults] == [RuntimeError, AttributeError]
    assert ask.faults[0].__traceback__ is not None


async def test_a_value_that_does_not_fit_its_type_is_a_fault_of_ours(ask: Asking) -> None:
    answer = await ask("{ odd { number huge } }")
    assert answer["data"] == {"odd": None}
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert answer["errors"][0]["path"] == ["odd", "huge"]
    assert str(2**40) not in str(answer)
    assert len(ask.faults) == 1


async def test_refusals_become_errors_with_their_code_and_details(ask: Asking) -> None:
    answer = await ask("{ secret page large several }")
    assert answer["data"] == dict.fromkeys(["secret", "page", "large", "several"])
    assert [(error["path"][0], error["message"], error["extensions"]) for error in answer["errors"]] == [
        ("secret", "Sign in first.", {"code": "UNAUTHENTICATED"}),
        ("page", "Pages have 1 to 100 entries.", {"code": "BAD_USER_INPUT", "inputPath": ("first",)}),
        ("large", "Too large.", {"code": "FILE_TOO_LARGE", "limit": 5}),
        ("several", "Sign in first.", {"code": "UNAUTHENTICATED"}),
        ("several", "Too large.", {"code": "FILE_TOO_LARGE", "limit": 5}),
    ]
    assert answer["errors"][0]["locations"] == [{"line": 1, "column": 3}]
    assert ask.faults == []


async def test_an_argument_that_only_execution_can_judge_is_the_clients_error(ask: Asking) -> None:
    answer = await ask('query ($name: String = "x") { hello(name: $name) }', {"name": None})
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert ask.faults == []


@pytest.mark.parametrize(
    "query", ["", "{", "{ a(", "\0", '{ hello(name: "\\ud800") }', "{ hello }}", "# nothing", "\ud800"]
)
def test_what_does_not_parse_is_refused(ask: Asking, query: str) -> None:
    assert ask.codes(query) == ["GRAPHQL_PARSE_FAILED"]


@pytest.mark.parametrize(
    "query",
    [
        "{ nope }",
        "{ things { nodes } }",
        "{ hello { length } }",
        "{ ...gone }",
        "{ ...a } fragment a on Query { ...a }",
        "subscription { ticks }",
        "query ($unused: Int) { hello }",
        "type Query { a: Int }",
        "{ hello ... @defer { nothing } }",
        "{ things { nodes @stream { number } } }",
        "{ hello a: hello @skip }",
        "{ x: hello x: nothing }",
        "query a { hello } query a { nothing }",
        "{ hello } { nothing }",
    ],
)
def test_what_does_not_fit_the_schema_is_refused(ask: Asking, query: str) -> None:
    assert set(ask.codes(query)) == {"GRAPHQL_VALIDATION_FAILED"}


def test_the_operation_is_chosen_by_its_name(ask: Asking) -> None:
    query = """query a { hello } mutation b { touch(number: 1) login ...m }
        fragment m on Mutation { ... { signup } ...n } fragment n on Mutation { login }"""
    assert ask.executor.prepare(query, "a").kind is OperationType.QUERY
    prepared = ask.executor.prepare(query, "b")
    assert prepared.kind is OperationType.MUTATION
    assert prepared.root_fields == {"touch", "login", "signup"}
    assert ask.codes(query) == ["OPERATION_NOT_FOUND"]
    assert ask.codes(query, name="c") == ["OPERATION_NOT_FOUND"]
    assert ask.codes("fragment unused on Query { hello }") == ["GRAPHQL_VALIDATION_FAILED"]
    assert ask.executor.prepare("{ hello }", "").kind is OperationType.QUERY


def test_the_chosen_operation_has_its_own_cost(ask: Asking) -> None:
    query = "query a { ...f } fragment f on Query { hello } query b { things(first: 10) { nodes { number name } } }"
    assert ask.executor.prepare(query, "a").cost == 1
    assert ask.executor.prepare(query, "b").cost > 20
    assert ask.executor.prepare(query, "a").cost == 1


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"wish": None},
        {"wish": 5},
        {"wish": {"colour": "BLUE"}},
        {"wish": {"colour": "RED", "count": 2**31}},
        {"wish": {"colour": "RED", "count": 1e400}},
        {"wish": {"colour": "RED", "other": 1}},
        {"wish": {"colour": ["RED", {"a": []}]}},
    ],
)
def test_variables_of_another_type_are_refused(ask: Asking, variables: dict[str, Any]) -> None:
    assert set(ask.codes("query ($wish: Wish!) { wished(wish: $wish) }", variables)) == {"BAD_USER_INPUT"}


def test_errors_in_variables_are_bounded(ask: Asking) -> None:
    definitions = ", ".join(f"$v{number}: Int!" for number in range(60))
    uses = " ".join(f"v{number}: hello @skip(if: true)" for number in range(1))
    query = f"query ({definitions}) {{ {uses} }}"
    assert len(ask.codes(query)) <= 21


def test_without_introspection_nothing_tells_of_the_schema() -> None:
    ask = Asking(introspection=False)
    for query in (
        "{ __schema { types { name } } }",
        '{ __type(name: "Thing") { name } }',
        "{ hell }",
        "{ things { node } }",
        "{ things }",
    ):
        errors = ask.refusals(query)
        assert {error["extensions"]["code"] for error in errors} == {"GRAPHQL_VALIDATION_FAILED"}
        assert "Did you mean" not in str(errors)
    assert "Did you mean" not in str(ask.refusals("query ($w: Wis) { wished(wish: $w) }"))
    variables = {"w": {"color": "RED", "colour": "REDD"}}
    assert "Did you mean" not in str(ask.refusals("query ($w: Wish!) { wished(wish: $w) }", variables))
    assert "Did you mean" in str(Asking().refusals("{ hell }"))


async def test_without_introspection_typename_still_works() -> None:
    assert await Asking(introspection=False)("{ __typename }") == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("{ hello }" + " " * 70_000, "bytes"),
        ('{ hello(name: "' + "é" * 33_000 + '") }', "bytes"),
        ("{" + " hello" * 2_000 + "}", "tokens"),
        ("{" + "," * 40_000 + " a" * 2_000 + "}", "tokens"),
        ("{" + " hello" * 501 + "}", "fields"),
        ("{" + "".join(f" a{number}: hello" for number in range(31)) + "}", "aliases"),
        ("{" + " hello @skip(if: false)" * 51 + "}", "directives"),
        ("{ a" * 150 + "}" * 150, "depth"),
        (
            "{ "
            + " ".join(f"a{n}: things(first: 100) {{ nodes {{ number owner {{ name }} }} }}" for n in range(30))
            + "}",
            "cost",
        ),
        (HOSTILE["one name in many fragments"], "comparisons"),
    ],
)
def test_what_asks_for_too_much_is_refused_by_name(ask: Asking, query: str, limit: str) -> None:
    errors = ask.refusals(query)
    assert [error["extensions"]["code"] for error in errors] == ["QUERY_TOO_COMPLEX"] * len(errors)
    assert limit in [error["extensions"]["limit"] for error in errors]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_at_once(ask: Asking, name: str) -> None:
    began = time.thread_time()
    with pytest.raises(QueryRefused) as caught:
        ask.executor.prepare(HOSTILE[name])
    took = time.thread_time() - began
    assert all(error.extensions and "code" in error.extensions for error in caught.value.errors)
    assert len(caught.value.errors) <= 21
    assert took < 1  # some ten milliseconds; without the limits many of these take minutes


NESTED = {
    "inline fragments": "{ ..." + " { ..." * 190 + " { hello }" + " }" * 191,
    "fragments": "{ ...f0 }"
    + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(190))
    + "fragment f190 on Query { hello }",
    "wrapped types": "{ __schema { queryType { " + "ofType { " * 180 + "name" + " }" * 183,
    "lists": "{ hello(name: " + "[" * 190 + "]" * 190 + ") }",
    "objects": "{ wished(wish: " + "{ colour: " * 190 + "RED" + " }" * 190 + ") }",
    "types": "query ($a: " + "[" * 190 + "Int" + "]" * 190 + ") { hello @skip(if: $a) }",
    "defaults": "query ($a: Int = " + "[" * 190 + "]" * 190 + ") { hello @skip(if: $a) }",
}


@pytest.mark.parametrize("name", NESTED)
async def test_what_is_nested_as_deeply_as_can_be_parsed_is_answered_or_refused(ask: Asking, name: str) -> None:
    try:
        answer = await ask(NESTED[name])
    except QueryRefused as refusal:
        answer = {"errors": [error.formatted for error in refusal.errors]}
    assert "errors" in answer or answer["data"] in (
        {"hello": "hello you"},
        {"__schema": {"queryType": {"ofType": None}}},
    )
    assert all(error["extensions"]["code"] != "INTERNAL" for error in answer.get("errors", []))
    assert ask.faults == []


def test_prepared_documents_are_kept_within_bounds(ask: Asking) -> None:
    query = "{ hello } #"
    assert ask.executor.prepare(query) is ask.executor.prepare(query)
    for number in range(6):
        ask.executor.prepare("{ hello } #" + str(number) + "x" * (KEPT_CHARACTERS // 5))
    first = ask.executor.prepare(query)
    assert ask.executor.prepare(query) is first
    assert ask.executor._kept_characters <= KEPT_CHARACTERS


def test_the_schema_of_an_executor_is_strawberrys() -> None:
    assert isinstance(SCHEMA, strawberry.Schema)
    assert Asking().executor.schema is SCHEMA._schema
