import time

import pytest
from graphql import GraphQLSchema, build_schema, get_introspection_query, parse

from schema.pricing import Price, QueryLimits, excesses, prices

SCHEMA: GraphQLSchema = build_schema("""
    interface Node { id: ID! }
    type Query {
      name: String
      node(id: ID!): Node
      nodes(ids: [ID!]!): [Node]!
      files(first: Int, after: String, last: Int): FileConnection
      top(first: Int! = 10): [File!]!
    }
    type FileConnection { nodes: [File!]! edges: [FileEdge!]! totalCount: Int! }
    type FileEdge { node: File! cursor: String! }
    type File implements Node { id: ID! name: String! tags: [String!]! workspace: Workspace! }
    type Workspace implements Node { id: ID! files(first: Int): FileConnection! }
    type Mutation { touch: Int }
""")


def price(query: str) -> Price:
    return prices(SCHEMA, parse(query))[0]


def test_every_measure_counts_what_it_is_named_after() -> None:
    asked = price('query @a { me: name @skip(if: false) @include(if: true) node(id: "1") { id ... on File { name } } }')
    assert asked == Price(depth=2, fields=4, aliases=1, directives=3, cost=4)


def test_a_list_costs_its_page_times_what_is_selected_in_it() -> None:
    # files, totalCount, nodes, and fifty times: the file, id, name.
    assert price("{ files(first: 50) { totalCount nodes { id name } } }").cost == 3 + 50 * 3
    assert price("{ files(last: 50) { edges { node { id } } } }").cost == 2 + 50 * 3


@pytest.mark.parametrize(
    ("arguments", "page"),
    [
        ("", 25),
        ("(first: null)", 25),
        ("(first: 0)", 1),
        ("(first: -5)", 1),
        ("(first: 7, last: 9)", 9),
        ("(first: 100)", 100),
        ("(first: 1000)", 100),
        ("(first: 99999999999999999999)", 100),
        ("(first: $any)", 100),
        ('(first: "7")', 100),
    ],
)
def test_a_page_is_what_the_request_says_at_most_a_hundred(arguments: str, page: int) -> None:
    query = f"query ($any: Int) {{ files{arguments} {{ nodes {{ id }} }} }}"
    assert price(query).cost == 2 + page * 2


def test_a_page_applies_through_fragments_and_to_its_own_lists_only() -> None:
    spread = price("{ files(first: 50) { ...page } } fragment page on FileConnection { nodes { id } }")
    assert spread.cost == price("{ files(first: 50) { nodes { id } } }").cost
    # Fifty files, each with itself and its tags: plain values, which are read at once however many they are.
    assert price("{ files(first: 50) { nodes { tags } } }").cost == 2 + 50 * (1 + 1)


def test_nested_pages_multiply() -> None:
    inner = 1 + 1 + 10 * (1 + 1)  # files, nodes and ten times: a file, its id
    query = "{ files(first: 20) { nodes { workspace { files(first: 10) { nodes { id } } } } } }"
    assert price(query).cost == 2 + 20 * (1 + 1 + inner)


def test_a_list_with_a_default_page_costs_that() -> None:
    assert price("{ top { id } }").cost == 1 + 10 * 2
    assert price("{ top(first: 3) { id } }").cost == 1 + 3 * 2


def test_nodes_cost_as_many_as_are_asked_for() -> None:
    assert price('{ nodes(ids: ["1", "2", "3"]) { id } }').cost == 1 + 3 * 2
    assert price("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }").cost == 1 + 100 * 2
    assert price("{ nodes { id } }").cost == 1 + 100 * 2


def test_what_does_not_exist_is_priced_as_if_it_were_plain() -> None:
    asked = price("{ nothing(first: 50) { at { all } } ...gone ... on Nowhere { here } name { below } }")
    assert asked == Price(depth=3, fields=6, aliases=0, directives=0, cost=6)


def test_operations_without_a_root_type_and_definitions_of_types_do_no_harm() -> None:
    found = prices(SCHEMA, parse("subscription { ticks } type A { b: Int } fragment f on Gone { a }"))
    assert [one.fields for one in found] == [1, 1]


def test_every_operation_and_every_fragment_is_priced_for_itself() -> None:
    found = prices(
        SCHEMA, parse("query a { name } query b { a: name b: name } fragment unused on File { id name tags }")
    )
    assert [one.fields for one in found] == [1, 2, 3]


def test_fragments_of_one_name_are_each_priced() -> None:
    found = prices(SCHEMA, parse("fragment f on File { id } fragment f on File { id name tags }"))
    assert [one.fields for one in found] == [1, 3]


def test_cycles_end() -> None:
    query = "{ ...a } fragment a on Query { name ...b } fragment b on Query { name ...a } fragment c on Query { ...c }"
    assert all(one.fields <= 3 for one in prices(SCHEMA, parse(query)))


def test_doubled_fragments_cost_what_their_text_is_long() -> None:
    levels = 120
    doubled = " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(levels))
    document = parse(f"{{ ...f0 }} {doubled} fragment f{levels} on Query {{ name }}")
    began = time.thread_time()
    found = prices(SCHEMA, document)
    assert time.thread_time() - began < 1  # a few milliseconds
    assert found[0].fields == 1_000_000_000  # 2 to the power of 120, but a number that every client can read


def test_a_chain_of_fragments_deeper_than_the_stack_is_measured() -> None:
    levels = 1500
    chain = " ".join(
        f"fragment f{n} on Workspace {{ files {{ nodes {{ workspace {{ ...f{n + 1} }} }} }} }}" for n in range(levels)
    )
    found = prices(SCHEMA, parse(f"{{ node {{ ...f0 }} }} {chain} fragment f{levels} on Workspace {{ id }}"))
    assert found[0].depth == 3 * levels + 2


def test_the_introspection_of_graphiql_is_within_the_limits() -> None:
    query = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )
    assert [error for one in prices(SCHEMA, parse(query)) for error in excesses(one, QueryLimits())] == []


def test_introspection_is_within_the_limits_once_and_not_many_times() -> None:
    aliases = " ".join(f"a{number}: __schema {{ types {{ name }} }}" for number in range(10))
    assert [error.extensions for error in excesses(price(f"{{ {aliases} }}"), QueryLimits())] == [
        {"code": "QUERY_TOO_COMPLEX", "limit": "cost", "allowed": 10_000, "asked": 20_090}
    ]


def test_each_excess_names_its_limit_what_it_allows_and_what_was_asked() -> None:
    limits = QueryLimits(depth=1, fields=2, aliases=0, directives=0, cost=3)
    errors = excesses(price("{ a: name @skip(if: true) files { nodes { id } } }"), limits)
    assert [error.extensions for error in errors] == [
        {"code": "QUERY_TOO_COMPLEX", "limit": "depth", "allowed": 1, "asked": 3},
        {"code": "QUERY_TOO_COMPLEX", "limit": "fields", "allowed": 2, "asked": 4},
        {"code": "QUERY_TOO_COMPLEX", "limit": "aliases", "allowed": 0, "asked": 1},
        {"code": "QUERY_TOO_COMPLEX", "limit": "directives", "allowed": 0, "asked": 1},
        {"code": "QUERY_TOO_COMPLEX", "limit": "cost", "allowed": 3, "asked": 53},
    ]
    assert "depth: 3 asked for, 1 allowed" in errors[0].message
