"""Leases end together, a moment after they may, and none is forgotten."""

import logging
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from storage.endings import Endings
from storage.keys import new_key
from storage.leases import Leases
from storage.threads import Threads
from tests.machine import comes_true


class Counted(Leases):
    """Leases that note what ends together, and wait until they may."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 60)
        self.ended: list[list[str]] = []
        self.is_reached = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def end_all(self, keys: Iterable[str]) -> None:
        self.is_reached.set()
        assert self.may_go_on.wait(10)
        self.ended.append(list(keys))
        super().end_all(keys)


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


async def test_leases_that_may_end_do_so_together(tmp_path: Path, leases: Counted, threads: Threads) -> None:
    keys, endings = begun(tmp_path, 20), Endings(leases, threads)
    for key in keys:
        endings.note(key)
    assert await comes_true(lambda: list(tmp_path.iterdir()) == [])
    assert leases.ended == [keys]
    (later,) = begun(tmp_path, 1)
    endings.note(later)
    assert await comes_true(lambda: list(tmp_path.iterdir()) == [])
    await endings.close()


async def test_what_somebody_else_ends_is_left_alone(tmp_path: Path, leases: Counted, threads: Threads) -> None:
    keys, endings = begun(tmp_path, 2), Endings(leases, threads)
    endings.note(keys[0])
    assert endings.take() == [keys[0]]
    endings.note(keys[1])
    assert await comes_true(lambda: leases.ended == [[keys[1]]])
    await endings.close()


async def test_one_that_cannot_end_is_logged_and_keeps_no_other_from_it(
    tmp_path: Path, leases: Counted, threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, *keys = begun(tmp_path, 3)
    (tmp_path / stuck).unlink()
    (tmp_path / stuck).mkdir()
    endings = Endings(leases, threads)
    with caplog.at_level(logging.ERROR, "storage.endings"):
        for key in (stuck, *keys):
            endings.note(key)
        await endings.close()
    assert caplog.messages == ["leases could not be ended: they run out"]
    assert [path.name for path in tmp_path.iterdir()] == [stuck]


async def test_closing_ends_what_is_left(tmp_path: Path, leases: Counted, threads: Threads) -> None:
    (first, second), endings = begun(tmp_path, 2), Endings(leases, threads)
    leases.may_go_on.clear()
    endings.note(first)
    assert await comes_true(leases.is_reached.is_set)
    endings.note(second)
    threading.Timer(0.05, leases.may_go_on.set).start()
    await endings.close()
    assert sorted(leases.ended) == sorted([[first], [second]])
    assert list(tmp_path.iterdir()) == []


async def test_what_cannot_be_begun_is_logged(
    tmp_path: Path, leases: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    [key], closed = begun(tmp_path, 1), Threads(1)
    closed.close()
    endings = Endings(leases, closed)
    with caplog.at_level(logging.ERROR, "storage.endings"):
        endings.note(key)
        await endings.close()
    assert caplog.messages == ["leases could not be ended: they run out"]
