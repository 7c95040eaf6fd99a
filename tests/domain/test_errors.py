import re
from collections.abc import Iterator
from dataclasses import MISSING, fields

import pytest

from domain import errors
from domain.errors import FileTooLarge, InvalidInput, Kind, NotSignedIn, Refusal, Refusals

# Clients do the same about each of them: they sign in again, or do not ask for it.
SHARED_CODES = {"UNAUTHENTICATED", "FORBIDDEN"}
VALUES = {"str": "text", "str | None": None, "int": 5, "int | None": None, "tuple[str, ...]": ("one", "two")}


def every_refusal(parent: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for refusal in parent.__subclasses__():
        if refusal.__module__ == errors.__name__:
            yield refusal
            yield from every_refusal(refusal)


def made(refusal: type[Refusal]) -> Refusal:
    """The refusal with a value for every detail that has no default."""
    required = [detail for detail in fields(refusal) if detail.default is MISSING]
    return refusal(**{detail.name: VALUES[spelt(detail.type)] for detail in required})  # type: ignore[arg-type]


def spelt(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)


REFUSALS = list(every_refusal())


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_has_a_code_a_kind_and_a_docstring(refusal: type[Refusal]) -> None:
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", refusal.code)
    assert isinstance(refusal.kind, Kind)
    assert refusal.__doc__
    assert not refusal.__doc__.startswith(f"{refusal.__name__}(")


def test_a_code_means_one_fact() -> None:
    codes = [refusal.code for refusal in REFUSALS]
    assert {code for code in codes if codes.count(code) > 1} == SHARED_CODES


def test_refusals_of_one_code_are_of_one_kind() -> None:
    kinds = {(refusal.code, refusal.kind) for refusal in REFUSALS}
    assert len(kinds) == len({code for code, _ in kinds})


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_reads_as_its_message(refusal: type[Refusal]) -> None:
    raised = made(refusal)
    assert str(raised) == raised.message
    assert raised.path == ()
    with pytest.raises(refusal, match=re.escape(raised.message)):
        raise raised


@pytest.mark.parametrize("refusal", [refusal for refusal in REFUSALS if isinstance(vars(refusal).get("message"), str)])
def test_a_message_of_its_own_is_a_sentence(refusal: type[Refusal]) -> None:
    assert re.fullmatch(r"[A-Z].*\.", made(refusal).message)


def test_a_detail_of_one_name_has_one_type_in_all_refusals() -> None:
    types = {(detail.name, spelt(detail.type)) for refusal in REFUSALS for detail in fields(refusal)}
    assert len(types) == len({name for name, _ in types})


def test_equal_refusals_are_still_two_events() -> None:
    assert InvalidInput(message="No.") != InvalidInput(message="No.")


def test_details_have_names_and_never_positions() -> None:
    with pytest.raises(TypeError):
        FileTooLarge("Too large.", (), 5)  # type: ignore[call-arg]


def test_several_refusals_are_told_at_once_and_in_order() -> None:
    several = Refusals(refusal for refusal in (InvalidInput(message="The name is empty."), NotSignedIn()))
    assert [refusal.code for refusal in several.refusals] == [InvalidInput.code, "UNAUTHENTICATED"]
    assert str(several) == "The name is empty.; Sign in first."
