"""Leases end together where many end at once, each for whoever waits for it, and none is forgotten."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.endings import Endings
from storage.keys import new_key
from storage.leases import Leases
from storage.store import StoreError
from storage.threads import Threads


class Counted(Leases):
    """Leases that note in which thread, and how often, something ends; and wait until they may."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 60)
        self.ended: list[str] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def end(self, key: str) -> None:
        assert self.may_go_on.wait(10)
        self.ended.append(key)
        super().end(key)


@pytest.fixture
def leases(tmp_path: Path) -> Iterator[Counted]:
    opened = Counted(tmp_path)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def threads() -> Iterator[Threads]:
    opened = Threads(2)
    yield opened
    opened.close()


def begun(folder: Path, count: int) -> list[str]:
    keys = [new_key() for _ in range(count)]
    for key in keys:
        (folder / key).write_bytes(b"")
    return keys


async def test_what_comes_while_a_lease_ends_ends_together_after_it(
    tmp_path: Path, leases: Counted, threads: Threads
) -> None:
    keys, endings = begun(tmp_path, 20), Endings(leases, threads)
    leases.may_go_on.clear()
    ending = [asyncio.create_task(endings.end(keys[0]))]
    await asyncio.sleep(0.01)
    ending += [asyncio.create_task(endings.end(key)) for key in keys[1:]]
    await asyncio.sleep(0.01)
    leases.may_go_on.set()
    await asyncio.gather(*ending)
    assert leases.ended == keys
    assert list(tmp_path.iterdir()) == []


async def test_one_that_cannot_end_keeps_no_other_from_it(tmp_path: Path, leases: Counted, threads: Threads) -> None:
    stuck, *keys = begun(tmp_path, 3)
    (tmp_path / stuck).unlink()
    (tmp_path / stuck).mkdir()
    endings = Endings(leases, threads)
    outcomes = await asyncio.gather(*map(endings.end, [stuck, *keys]), return_exceptions=True)
    assert all(isinstance(outcome, StoreError) for outcome in outcomes)
    assert [path.name for path in tmp_path.iterdir()] == [stuck]
    (later,) = begun(tmp_path, 1)
    await endings.end(later)
    assert [path.name for path in tmp_path.iterdir()] == [stuck]


async def test_who_leaves_ends_it_all_the_same(tmp_path: Path, leases: Counted, threads: Threads) -> None:
    (key,) = begun(tmp_path, 1)
    endings = Endings(leases, threads)
    ending = asyncio.create_task(endings.end(key))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait({ending})
    await endings.end(key)
    assert ending.cancelled()
    assert list(tmp_path.iterdir()) == []


async def test_an_ending_that_is_cancelled_with_its_loop_is_no_failure(
    tmp_path: Path, leases: Counted, threads: Threads
) -> None:
    (key,) = begun(tmp_path, 1)
    endings = Endings(leases, threads)
    leases.may_go_on.clear()
    waiting = asyncio.create_task(endings.end(key))
    await asyncio.sleep(0.01)
    for task in asyncio.all_tasks():
        if "_end_all" in str(task.get_coro()):
            task.cancel()
    leases.may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
