import asyncio

import pytest

from api.ports import ThreadedHasher
from domain.errors import Unavailable


@pytest.fixture
def hasher() -> ThreadedHasher:
    return ThreadedHasher(threads=1, queue=7)


async def outcomes(hasher: ThreadedHasher, number: int, asker: str | None) -> list[bool]:
    waiting = (hasher.verify("password", None, asker) for _ in range(number))
    return [not isinstance(each, Unavailable) for each in await asyncio.gather(*waiting, return_exceptions=True)]


async def test_one_asker_gets_half_of_the_room_and_others_the_rest(hasher: ThreadedHasher) -> None:
    flood, other = await asyncio.gather(outcomes(hasher, 50, "192.0.2.1"), outcomes(hasher, 2, "192.0.2.2"))
    assert flood.count(True) == 4
    assert other == [True, True]
    hasher.close()


async def test_who_is_not_named_shares_the_whole_room(hasher: ThreadedHasher) -> None:
    assert (await outcomes(hasher, 50, None)).count(True) == 8
    hasher.close()


async def test_room_is_given_back_and_nobody_is_remembered(hasher: ThreadedHasher) -> None:
    for _ in range(2):
        assert (await outcomes(hasher, 4, "192.0.2.1")).count(True) == 4
    assert await hasher.hash("a quiet harbour", "192.0.2.1")
    assert not hasher._busy_by_asker
    hasher.close()
