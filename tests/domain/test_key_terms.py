from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from db.models import UserRole
from domain.errors import Forbidden, InvalidInput
from domain.key_terms import judged_addresses, judged_end, judged_name, judged_scopes
from domain.scopes import Scope
from domain.viewer import Viewer
from tests.records import NOW

ADA = Viewer(uuid7())
BOSS = Viewer(uuid7(), UserRole.ADMIN)


def test_a_name_is_kept_without_what_nobody_sees() -> None:
    assert judged_name("  nightly\0 backup\u200b ") == "nightly backup"
    assert judged_name("x" * 100) == "x" * 100


@pytest.mark.parametrize("name", ["", " \n", "\0", "\ud800", "x" * 101, "x" * 1_000_000])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        judged_name(name)
    assert refused.value.path == ("name",)


def test_scopes_are_kept_once_each_in_one_order() -> None:
    assert judged_scopes(ADA, ["files:write", "files:read", "files:write"]) == ["files:read", "files:write"]
    assert judged_scopes(BOSS, list(Scope)) == list(Scope)


@pytest.mark.parametrize(
    "scopes", [[], ["files"], ["FILES_READ"], ["files:read", ""], ["files:read\0"], ["\ud800"], ["files:read"] * 101]
)
def test_what_is_no_scope_is_refused(scopes: list[str]) -> None:
    with pytest.raises(InvalidInput, match="one or more of the scopes: files:read, files:write") as refused:
        judged_scopes(BOSS, scopes)
    assert refused.value.path == ("scopes",)


def test_nobody_gives_a_key_more_than_they_may_do_themselves() -> None:
    with pytest.raises(Forbidden) as refused:
        judged_scopes(ADA, ["files:read", "admin"])
    assert refused.value.path == ("scopes",)


def test_a_key_ends_in_the_future_or_never() -> None:
    later = NOW + timedelta(microseconds=1)
    assert judged_end(None, NOW) is None
    assert judged_end(later, NOW) == later
    for over in (NOW, NOW - timedelta(days=1)):
        with pytest.raises(InvalidInput) as refused:
            judged_end(over, NOW)
        assert refused.value.path == ("expiresAt",)


def test_address_ranges_are_kept_once_each() -> None:
    assert judged_addresses([]) == []
    assert judged_addresses(["192.0.2.0/24", "::1", "::ffff:192.0.2.0/120"]) == ["192.0.2.0/24", "::1/128"]


@pytest.mark.parametrize("addresses", [["nowhere"], ["::1", ""], ["192.0.2.1"] * 21])
def test_what_are_no_address_ranges_is_refused(addresses: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        judged_addresses(addresses)
    assert refused.value.path == ("addresses",)
