"""Who comes alone is settled by a thread; many at once by a process, which may be missing, and may be killed."""

import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage import settler_process
from storage.endings import Endings
from storage.keys import new_key, path_of
from storage.layout import Layout
from storage.leases import Leases
from storage.settlements import Settlements
from storage.settler_process import SettlerProcess
from storage.settling import Settling, SmallBlob
from storage.store import Stored, StoreError, StoreFull
from storage.threads import Threads
from tests.machine import comes_true
from tests.storage.blobs import files_below, settlers_of, sums, sums_of


@dataclass(frozen=True, slots=True)
class House:
    """The parts of a store that settle its small blobs."""

    folder: Path
    layout: Layout
    endings: Endings
    process: SettlerProcess
    settlements: Settlements

    async def is_ready(self) -> bool:
        self.process.start()
        return await comes_true(lambda: self.process.is_ready)

    def start(self, count: int) -> list[asyncio.Future[Stored]]:
        return [self.settlements.start(SmallBlob(new_key(), b"%d" % number)) for number in range(count)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    threads = Threads(8)
    layout = Layout(tmp_path, os.fsync)
    layout.open()
    leases = Leases(layout.leases, 60)
    leases.open()
    endings, process = Endings(leases, threads), SettlerProcess(tmp_path, threads)
    settlements = Settlements(Settling(layout, leases), endings, threads, process)
    yield House(tmp_path, layout, endings, process, settlements)
    await settlements.close()
    threads.close()
    leases.close()
    layout.close()
    assert settlers_of(tmp_path) == []


async def test_who_comes_alone_needs_no_process(house: House) -> None:
    for _ in range(3):
        (settling,) = house.start(1)
        assert sums_of(await settling) == sums(b"0")
    assert settlers_of(house.folder) == []


async def test_who_comes_with_others_has_a_process_started_and_does_not_wait_for_it(house: House) -> None:
    outcomes = await asyncio.gather(*house.start(10))
    assert [sums_of(outcome) for outcome in outcomes] == [sums(b"%d" % number) for number in range(10)]
    assert await comes_true(lambda: house.process.is_ready)
    assert len(settlers_of(house.folder)) == 1


@pytest.mark.parametrize("count", [2, 200])
async def test_many_at_once_are_settled_by_the_process(house: House, count: int) -> None:
    assert await house.is_ready()
    house.layout.begin = None  # type: ignore[method-assign, assignment]  # threads could not
    alone, *together = house.start(1 + count)
    outcomes = await asyncio.gather(*together)
    assert [sums_of(outcome) for outcome in outcomes] == [sums(b"%d" % (1 + number)) for number in range(count)]
    for number, outcome in enumerate(outcomes):
        assert (house.folder / "blobs" / path_of(outcome.key)).read_bytes() == b"%d" % (1 + number)
    with pytest.raises(TypeError):
        await alone


async def test_leases_end_with_what_is_settled(house: House) -> None:
    assert await house.is_ready()
    ended, there = await asyncio.gather(*house.start(2))
    house.endings.note(ended.key)
    later = await asyncio.gather(*house.start(3))
    assert sorted(files_below(house.folder / "leases")) == sorted(stored.key for stored in (there, *later))


async def test_leases_that_the_process_cannot_end_are_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    assert await house.is_ready()
    (house.folder / "leases" / "stuck").mkdir()
    house.endings.note("stuck")
    with caplog.at_level(logging.WARNING, "storage.settler_process"):
        await asyncio.gather(*house.start(2))
    assert caplog.messages == ["leases could not be ended, and run out: [Errno 21] Is a directory: 'stuck'"]


async def test_what_fails_in_the_process_fails_for_itself(house: House, tmp_path: Path) -> None:
    assert await house.is_ready()
    (taken,) = house.start(1)
    blob = SmallBlob((await taken).key, b"other")
    (alone,), failing, (fine,) = house.start(1), house.settlements.start(blob), house.start(1)
    with pytest.raises(StoreError, match="File exists"):
        await failing
    assert sums_of(await fine) == sums_of(await alone) == sums(b"0")
    assert (tmp_path / "blobs" / path_of(blob.key)).read_bytes() == b"0"


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreError)])
def test_faults_of_the_process_are_those_of_a_store(number: int, kind: type[StoreError]) -> None:
    outcome = settler_process.outcome_of(SmallBlob("key", b""), number, os.strerror(number))
    assert type(outcome) is kind


async def test_where_the_process_is_killed_others_are_settled_all_the_same(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await house.is_ready()
    (process,) = settlers_of(house.folder)
    os.kill(process, signal.SIGSTOP)
    alone, *lost = house.start(4)
    await alone
    os.kill(process, signal.SIGKILL)
    with caplog.at_level(logging.WARNING, "storage.settler_process"):
        failures = await asyncio.gather(*lost, return_exceptions=True)
    assert [type(failure) for failure in failures] == [StoreError] * 3
    assert caplog.messages == ["the process that settles small blobs is gone; another will be started"]
    await asyncio.gather(*house.start(4))
    assert not house.process.is_ready, "not so soon: what killed the one may kill the next"
    monkeypatch.setattr(settler_process, "_PAUSE_SECONDS", 0.0)
    await asyncio.gather(*house.start(4))
    assert await comes_true(lambda: house.process.is_ready)
    assert settlers_of(house.folder) != [process]


async def test_those_who_gathered_for_a_process_that_is_gone_fail(house: House) -> None:
    assert await house.is_ready()
    (process,) = settlers_of(house.folder)
    os.kill(process, signal.SIGSTOP)
    _, first = house.start(2)
    await asyncio.sleep(0.05)
    gathered = house.start(3)
    os.kill(process, signal.SIGKILL)
    failures = await asyncio.gather(first, *gathered, return_exceptions=True)
    assert [type(failure) for failure in failures] == [StoreError] * 4


async def test_a_process_that_cannot_be_started_is_done_without(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with caplog.at_level(logging.ERROR, "storage.settler_process"):
        outcomes = await asyncio.gather(*house.start(10))
        assert await comes_true(lambda: bool(caplog.messages))
    assert len(outcomes) == 10
    assert caplog.messages == ["no process that settles small blobs could be started: threads settle them"]


async def test_a_process_that_ends_at_once_is_done_without(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with caplog.at_level(logging.ERROR, "storage.settler_process"):
        await asyncio.gather(*house.start(2))
        assert await comes_true(lambda: bool(caplog.messages))
    assert not house.process.is_ready


async def test_closing_lets_all_come_to_their_end(house: House) -> None:
    assert await house.is_ready()
    settling = house.start(100)
    await asyncio.sleep(0)
    await house.settlements.close()
    assert all(future.done() for future in settling)
    assert len(await asyncio.gather(*settling)) == 100


async def test_closing_waits_for_a_process_that_is_being_started(house: House) -> None:
    house.process.start()
    await house.settlements.close()
    assert not house.process.is_ready
