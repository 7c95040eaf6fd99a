import asyncio
from typing import Any

from api.connections import CONNECTION, abort, is_writable_of, stopping_of

BARE: tuple[dict[str, Any], ...] = ({}, {"extensions": None}, {"extensions": {}}, {"extensions": {CONNECTION: {}}})


async def test_a_server_without_the_extension_can_do_nothing_of_it() -> None:
    for scope in BARE:
        await abort(scope)
        assert not is_writable_of(scope)()
        assert not stopping_of(scope).is_set()


async def test_what_the_server_offers_is_used() -> None:
    aborted: list[str] = []
    stopping = asyncio.Event()
    offered = {"abort": lambda: aborted.append("now"), "is_writable": lambda: True, "stopping": stopping}
    scope = {"extensions": {CONNECTION: offered}}
    await abort(scope)
    assert aborted == ["now"]
    assert is_writable_of(scope)()
    assert stopping_of(scope) is stopping
