import asyncio

import pytest

from domain.flags import Flag

pytestmark = pytest.mark.anyio


async def test_nobody_waits_for_a_flag_that_is_set() -> None:
    flag = Flag()
    assert not flag.is_set()
    flag.set()
    assert flag.is_set()
    async with asyncio.timeout(1):
        await flag.wait()


async def test_all_who_wait_go_on_even_where_it_is_cleared_at_once() -> None:
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    flag.set()
    flag.clear()
    async with asyncio.timeout(1):
        await asyncio.gather(*waiting)
    assert not flag.is_set()


async def test_who_comes_after_it_was_cleared_waits_again() -> None:
    flag = Flag()
    flag.set()
    flag.clear()
    waiting = asyncio.create_task(flag.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    flag.set()
    async with asyncio.timeout(1):
        await waiting


async def test_who_stops_waiting_leaves_the_others_alone() -> None:
    flag = Flag()
    first, second = (asyncio.create_task(flag.wait()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    flag.set()  # before the one that is cancelled has run
    async with asyncio.timeout(1):
        await asyncio.wait({first, second})
    assert first.cancelled()
