import pytest

from api.operation_names import MAXIMUM_CHARACTERS, OTHER, UNNAMED, OperationNames


def test_a_name_counts_as_itself_once_somebody_who_is_signed_in_has_used_it() -> None:
    names = OperationNames()
    assert names.label("Files", is_signed_in=False) == OTHER
    assert names.label("Files", is_signed_in=True) == "Files"
    assert names.label("Files", is_signed_in=False) == "Files"


def test_an_operation_without_a_name_is_unnamed() -> None:
    assert OperationNames().label(None, is_signed_in=True) == UNNAMED


def test_names_beyond_the_most_count_as_one() -> None:
    names = OperationNames(maximum=2)
    assert [names.label(name, is_signed_in=True) for name in ("A", "B", "C", "A")] == ["A", "B", OTHER, "A"]


@pytest.mark.parametrize(
    "name", ["A", "_", "getFilesV2", "Top10Users", "q_1", "FacadeAdded", "Decade9", "A" * MAXIMUM_CHARACTERS]
)
def test_names_that_people_give_are_taken(name: str) -> None:
    assert OperationNames().label(name, is_signed_in=True) == name


@pytest.mark.parametrize(
    "name",
    [
        "A" * (MAXIMUM_CHARACTERS + 1),
        "Q_0192",
        "user_01a21896252173b69d3f17031ea6420b",
        # Of one id in twelve, no four digits stand together.
        "user_01a21ca5b1cd7abc8def0abc1def2abc",
        "Q01A21CA5B1CD7ABC8DEF0ABC1DEF2ABC",
        "of_01a21ca5_b1cd_7abc_8def_0abc1def2abc_now",
        "of_fabcdef1",
        "Q12345",
        "näme",
    ],
)
def test_names_that_could_hold_an_id_are_not(name: str) -> None:
    assert OperationNames().label(name, is_signed_in=True) == OTHER
