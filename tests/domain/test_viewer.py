"""What a viewer may ask for, by what it comes by."""

import pytest
from uuid_utils.compat import uuid7

from db.models import UserRole
from domain.errors import NotForKeys, NotSignedIn, ScopeMissing
from domain.scopes import Scope
from domain.viewer import NOBODY, Viewer

ADA, EVE = uuid7(), uuid7()


def by_key(*scopes: Scope, role: UserRole = UserRole.USER) -> Viewer:
    return Viewer(ADA, role, api_key_id=uuid7(), scopes=frozenset(scopes))


@pytest.mark.parametrize("scope", Scope)
def test_a_person_has_no_bounds_and_a_key_has_those_that_it_was_given(scope: Scope) -> None:
    others = set(Scope) - {scope}
    assert Viewer(ADA).required(scope) == Viewer(ADA).known(scope) == ADA
    assert by_key(scope).required(scope) == by_key(scope).known(scope) == ADA
    for ask in (by_key(*others).required, by_key(*others).known, by_key().required):
        with pytest.raises(ScopeMissing, match=f"lacks the scope `{scope}`") as refused:
            ask(scope)
        assert refused.value.scope == scope


def test_nobody_is_known_to_be_nobody_and_required_to_sign_in() -> None:
    assert NOBODY.known(Scope.FILES_READ) is None
    with pytest.raises(NotSignedIn):
        NOBODY.required(Scope.FILES_READ)
    with pytest.raises(NotSignedIn):
        NOBODY.in_person()
    NOBODY.refuse_keys()


def test_only_who_has_signed_in_is_there_in_person() -> None:
    assert Viewer(ADA).in_person() == ADA
    for viewer in (by_key(*Scope), by_key(*Scope, role=UserRole.ADMIN), Viewer(ADA, scopes=frozenset(Scope))):
        with pytest.raises(NotForKeys):
            viewer.in_person()
        with pytest.raises(NotForKeys):
            viewer.refuse_keys()


def test_a_key_administers_when_both_its_owner_and_its_scopes_say_so() -> None:
    assert Viewer(ADA, UserRole.ADMIN).is_admin
    assert by_key(Scope.ADMIN, role=UserRole.ADMIN).is_admin
    assert not by_key(Scope.ADMIN).is_admin
    assert not by_key(*set(Scope) - {Scope.ADMIN}, role=UserRole.ADMIN).is_admin


def test_an_account_is_seen_by_its_person_and_administrators_and_their_keys_that_may() -> None:
    seen = [Viewer(ADA), Viewer(EVE, UserRole.ADMIN), by_key(Scope.ACCOUNT_READ)]
    unseen = [NOBODY, Viewer(EVE), by_key(*set(Scope) - {Scope.ACCOUNT_READ})]
    assert [viewer.sees_account_of(ADA) for viewer in (*seen, *unseen)] == [True] * 3 + [False] * 3
    assert by_key(Scope.ADMIN, role=UserRole.ADMIN).sees_account_of(EVE)
    assert not by_key(Scope.ACCOUNT_READ).sees_account_of(EVE)
