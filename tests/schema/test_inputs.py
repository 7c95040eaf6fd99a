"""Inputs that are made by a plan are those that Strawberry makes."""

from enum import Enum

import pytest
import strawberry

from schema.inputs import plan_inputs


@pytest.fixture(params=[False, True], ids=["by Strawberry", "by plan"])
def schema(request: pytest.FixtureRequest) -> strawberry.Schema:
    """A schema with an input of every kind that shows what its resolver is given."""

    @strawberry.enum
    class Colour(Enum):
        RED = "#f00"
        BLUE = "#00f"

    @strawberry.input
    class Part:
        number_of_it: int
        colour: Colour = Colour.RED
        note: str | None = "none"

    @strawberry.input
    class Whole:
        main: Part
        name: strawberry.ID
        parts: list[Part] | None = strawberry.field(default_factory=list)
        colours: list[Colour] | None = None
        unset: int | None = strawberry.UNSET
        other_name: str | None = strawberry.field(name="called", default=None)

    @strawberry.type
    class Query:
        @strawberry.field
        def shown(self, whole: Whole, others: list[Part] | None = None) -> str:
            return f"{whole!r} {others!r}"

    made = strawberry.Schema(Query)
    if request.param:
        plan_inputs(made)
    return made


ONE, TWO, BLUE = (
    f"Part(number_of_it={each}, note='none')" for each in ("1, colour=RED", "2, colour=RED", "1, colour=BLUE")
)


@pytest.mark.parametrize(
    ("whole", "others", "expected"),
    [
        (
            '{ main: { numberOfIt: 1 }, name: "a" }',
            "null",
            f"Whole(main={ONE}, name='a', parts=[], colours=None, unset=UNSET, other_name=None) None",
        ),
        (
            "{ main: { numberOfIt: 1, colour: BLUE }, name: 7, parts: [{ numberOfIt: 2 }], colours: [RED], unset: 3 }",
            "[{ numberOfIt: 1 }]",
            f"Whole(main={BLUE}, name='7', parts=[{TWO}], colours=[RED], unset=3, other_name=None) [{ONE}]",
        ),
        (
            '{ main: { numberOfIt: 1 }, name: "a", parts: null, unset: null, called: "b" }',
            "[]",
            f"Whole(main={ONE}, name='a', parts=None, colours=None, unset=None, other_name='b') []",
        ),
    ],
)
def test_what_a_resolver_is_given(schema: strawberry.Schema, whole: str, others: str, expected: str) -> None:
    answer = schema.execute_sync(f"{{ shown(whole: {whole}, others: {others}) }}")
    assert answer.errors is None
    assert answer.data is not None
    shown = answer.data["shown"]
    for name in ("RED", "BLUE"):
        shown = shown.replace(f"<Colour.{name}: '{'#f00' if name == 'RED' else '#00f'}'>", name)
    assert shown.replace("test_inputs.", "").replace("schema.<locals>.", "") == expected


@pytest.mark.parametrize("arguments", ['whole: { name: "a" }', 'whole: { main: {}, name: "a" }', "whole: null"])
def test_what_is_required_and_missing_is_refused_before(schema: strawberry.Schema, arguments: str) -> None:
    answer = schema.execute_sync(f"{{ shown({arguments}) }}")
    assert answer.data is None
    assert answer.errors
