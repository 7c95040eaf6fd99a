import asyncio
from pathlib import Path

import pytest

from api.parts import parts_of
from api.ports import ThreadedHasher
from api.settings import Settings
from domain.errors import Unavailable
from domain.passwords import Verification


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


async def test_a_service_hashes_at_the_full_price(tmp_path: Path) -> None:
    parts = parts_of(Settings(data_folder=tmp_path))
    hashed = await parts.hasher.hash("a quiet harbour")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await parts.hasher.verify("a quiet harbour", hashed) == Verification(is_right=True, is_outdated=False)
    parts.hasher.close()
