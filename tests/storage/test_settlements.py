"""Who comes alone is settled by a thread; many at once by a process, which may be missing, and may be killed."""

import asyncio
import errno
import logging
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage import settler_process
from storage.disk import DiskStore
from storage.endings import Endings
from storage.keys import new_key, path_of
from storage.layout import Layout
from storage.leases import Leases
from storage.settlements import Settlements
from storage.settler_process import SettlerProcess, outcomes_of
from storage.settling import Settling, SmallBlob
from storage.store import Stored, StoreError, StoreFull
from storage.threads import Threads
from tests.machine import comes_true
from tests.storage.blobs import files_below, get, put, settlers_of, sums, sums_of


@dataclass(frozen=True, slots=True)
class House:
    """The parts of a store that settle its small blobs."""

    folder: Path
    threads: Threads
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
    endings, process = Endings(leases, threads), SettlerProcess(layout, threads)
    settlements = Settlements(Settling(layout, leases), endings, threads, process)
    yield House(tmp_path, threads, layout, endings, process, settlements)
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


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreError), (None, StoreError)])
def test_faults_of_the_process_are_those_of_a_store(number: int | None, kind: type[StoreError]) -> None:
    [outcome] = outcomes_of([SmallBlob("key", b"")], {"blobs": [[number, "it is broken"]], "fault": None})
    assert type(outcome) is kind
    assert str(outcome) == "it is broken"


@pytest.mark.parametrize("answer", [{}, [], {"blobs": [], "fault": None}, {"blobs": [None], "fault": None}])
def test_what_is_no_answer_is_a_fault(answer: object) -> None:
    with pytest.raises(StoreError):
        outcomes_of([SmallBlob("key", b"")], answer)


async def test_where_the_process_is_killed_only_what_it_was_asked_fails(house: House) -> None:
    assert await house.is_ready()
    (process,) = settlers_of(house.folder)
    os.kill(process, signal.SIGSTOP)
    alone, *asked = house.start(2)
    house.endings.note(ended := (await alone).key)
    gathered = house.start(5)
    os.kill(process, signal.SIGKILL)
    failures = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(failure) for failure in failures] == [StoreError]
    assert len({stored.key for stored in await asyncio.gather(*gathered)}) == 5
    assert await comes_true(lambda: not (house.folder / "leases" / ended).exists())


async def test_where_threads_are_gone_as_well_all_of_them_fail(house: House) -> None:
    assert await house.is_ready()
    (process,) = settlers_of(house.folder)
    os.kill(process, signal.SIGSTOP)
    _, *lost = house.start(5)
    house.threads.close()
    os.kill(process, signal.SIGKILL)
    failures = await asyncio.gather(*lost, return_exceptions=True)
    assert [type(failure) for failure in failures] == [StoreError] * 4


async def test_leases_that_a_killed_process_was_to_end_are_ended_all_the_same(house: House) -> None:
    assert await house.is_ready()
    (process,) = settlers_of(house.folder)
    ended = (await house.start(1)[0]).key
    os.kill(process, signal.SIGSTOP)
    house.endings.note(ended)
    alone, asked = house.start(2)
    os.kill(process, signal.SIGKILL)
    await asyncio.gather(alone, asked, return_exceptions=True)
    assert await comes_true(lambda: not (house.folder / "leases" / ended).exists())


async def test_one_that_was_killed_has_a_successor_but_not_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await house.is_ready()
    (process,) = settlers_of(house.folder)
    os.kill(process, signal.SIGKILL)
    assert await comes_true(lambda: not house.process.is_ready), "nobody has to be lost for it to be seen"
    await asyncio.gather(*house.start(4))
    assert settlers_of(house.folder) == [], "not so soon: what killed the one may kill the next"
    monkeypatch.setattr(settler_process, "_PAUSE_SECONDS", 0.0)
    await asyncio.gather(*house.start(4))
    assert await comes_true(lambda: house.process.is_ready)
    assert len(settlers_of(house.folder)) == 1


async def test_one_that_hangs_is_killed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await house.is_ready()
    (process,) = settlers_of(house.folder)
    os.kill(process, signal.SIGSTOP)
    monkeypatch.setattr(settler_process, "_PATIENCE_SECONDS", 0.05)
    alone, asked = house.start(2)
    with pytest.raises(StoreError, match="gone"):
        await asked
    assert (await alone).size == 1


async def test_one_that_hangs_while_it_is_closed_is_killed(house: House) -> None:
    assert await house.is_ready()
    (process,) = settlers_of(house.folder)
    os.kill(process, signal.SIGSTOP)
    await house.settlements.close()
    assert settlers_of(house.folder) == []


async def test_signals_that_end_a_service_do_not_end_it_before(house: House) -> None:
    assert await house.is_ready()
    (process,) = settlers_of(house.folder)
    os.kill(process, signal.SIGTERM)
    os.kill(process, signal.SIGINT)
    await asyncio.gather(*house.start(20))
    assert settlers_of(house.folder) == [process]


async def test_one_that_answers_nonsense_is_killed(house: House) -> None:
    assert await house.is_ready()
    house.process.data_received(b"half a ")
    house.process.data_received(b"line\n")
    assert await comes_true(lambda: not house.process.is_ready)
    await asyncio.gather(*house.start(4))


async def test_what_was_not_asked_for_is_no_answer(house: House) -> None:
    house.process.data_received(b"nonsense of one that is gone\n")
    assert await house.is_ready()
    house.process.data_received(b"{}\n")
    await asyncio.gather(*house.start(4))
    assert house.process.is_ready


async def test_one_that_finds_another_folder_is_done_without(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.folder.rename(house.folder.with_name("elsewhere"))
    with caplog.at_level(logging.ERROR, "storage.settler_process"):
        house.process.start()
        assert await comes_true(lambda: bool(caplog.messages))
    assert not house.process.is_ready
    shutil.rmtree(house.folder)
    house.folder.with_name("elsewhere").rename(house.folder)


async def test_the_folder_is_the_one_that_the_service_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with asyncio.timeout(60):
        store = DiskStore(Path("data"), floor_bytes=0, lease_seconds=60)
        await store.open()
        for _ in range(100):
            for stored in await asyncio.gather(*(put(store, b"words") for _ in range(4))):
                assert await get(store, stored.key) == b"words"
            if settlers_of(tmp_path / "data"):
                await asyncio.sleep(0.01)
        assert len(settlers_of(tmp_path / "data")) == 1
        await store.close()


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


async def test_a_store_that_is_closed_starts_none(house: House) -> None:
    await house.settlements.close()
    house.process.start()
    await asyncio.sleep(0)
    assert settlers_of(house.folder) == []
