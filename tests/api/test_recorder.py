"""Downloads on their way into history: what is one download, when it is written, and what a failing database costs."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from api.recorder import MAXIMUM_BATCH, DownloadRecorder
from db.engine import Database
from db.models import Event
from domain.downloads import Download, DownloadRecord
from domain.events import RequestFacts
from tests.machine import PATIENCE_SECONDS
from tests.records import NOW, MovableClock

FACTS = RequestFacts("req-1", "192.0.2.1")
DOWNLOAD = Download(
    user_id=uuid7(),
    file_id=uuid7(),
    version_id=uuid7(),
    workspace_id=uuid7(),
    name="film.mp4",
    size=1000,
    media_type="video/mp4",
    digest="0" * 64,
    blob_key="k",
    number=1,
    modified_at=NOW,
    is_pinned=False,
)


class Book:
    """Keeps what is written, the last word per event; fails while told to."""

    def __init__(self) -> None:
        self.lines: dict[UUID, DownloadRecord] = {}
        self.batches: list[int] = []
        self.attempts = 0
        self.is_closed = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, records: Sequence[DownloadRecord]) -> None:
        self.attempts += 1
        await self.gate.wait()
        if self.is_closed:
            raise OSError("the database is away")
        self.batches.append(len(records))
        self.lines |= {record.event_id: record for record in records}

    @property
    def sizes(self) -> list[int]:
        return [record.sent for record in self.lines.values()]


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def recorder(book: Book, clock: MovableClock) -> DownloadRecorder:
    return DownloadRecorder(book.write, clock, wait_seconds=0.01)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - conditions on plain values
            await asyncio.sleep(0.005)


def transfer(recorder: DownloadRecorder, sent: int, download: Download = DOWNLOAD) -> None:
    recorder.end(recorder.begin(download, FACTS, is_range=False), sent)


def transfer_range(recorder: DownloadRecorder, sent: int, download: Download = DOWNLOAD) -> None:
    recorder.end(recorder.begin(download, FACTS, is_range=True), sent)


async def test_a_download_is_written_soon_after_it_ends(recorder: DownloadRecorder, book: Book) -> None:
    trail = recorder.begin(DOWNLOAD, FACTS, is_range=False)
    await asyncio.sleep(0.03)
    assert book.attempts == 0

    recorder.end(trail, 1000)
    await until(lambda: book.sizes == [1000])

    [record] = book.lines.values()
    assert (record.download, record.facts, record.ended_at) == (DOWNLOAD, FACTS, NOW)


async def test_downloads_that_end_together_are_one_batch(recorder: DownloadRecorder, book: Book) -> None:
    for _ in range(50):
        transfer(recorder, 1000)
    await until(lambda: len(book.sizes) == 50)

    assert book.batches == [50]


async def test_no_batch_is_larger_than_a_statement_takes(recorder: DownloadRecorder, book: Book) -> None:
    for _ in range(MAXIMUM_BATCH + 1):
        transfer(recorder, 1000)
    await recorder.close()

    assert book.batches == [MAXIMUM_BATCH, 1]


async def test_one_batch_does_not_wait_for_the_next(book: Book, clock: MovableClock) -> None:
    recorder = DownloadRecorder(book.write, clock, wait_seconds=0.5)
    for _ in range(2 * MAXIMUM_BATCH + 1):
        transfer(recorder, 1000)
    await until(lambda: book.batches != [])

    assert book.batches == [MAXIMUM_BATCH, MAXIMUM_BATCH, 1]


async def test_ranges_within_the_window_are_one_download(
    recorder: DownloadRecorder, book: Book, clock: MovableClock
) -> None:
    transfer_range(recorder, 100)
    await until(lambda: book.sizes == [100])
    for _ in range(3):
        clock.forward(seconds=60)
        transfer_range(recorder, 100)
    await until(lambda: book.sizes == [400])


async def test_a_range_after_the_window_is_another_download(
    recorder: DownloadRecorder, book: Book, clock: MovableClock
) -> None:
    transfer_range(recorder, 100)
    clock.forward(seconds=60.001)
    transfer_range(recorder, 50)
    await recorder.close()

    assert book.sizes == [100, 50]


async def test_ranges_at_the_same_time_are_one_download_however_long_they_take(
    recorder: DownloadRecorder, book: Book, clock: MovableClock
) -> None:
    first, second = (recorder.begin(DOWNLOAD, FACTS, is_range=True) for _ in range(2))
    recorder.end(first, 500)
    clock.forward(hours=1)
    transfer(recorder, 1, replace(DOWNLOAD, version_id=uuid7()))
    third = recorder.begin(DOWNLOAD, FACTS, is_range=True)
    recorder.end(second, 300)
    recorder.end(third, 200)
    await recorder.close()

    assert book.sizes == [1000, 1]


async def test_ranges_of_others_and_of_other_contents_are_other_downloads(
    recorder: DownloadRecorder, book: Book
) -> None:
    transfer_range(recorder, 1)
    transfer_range(recorder, 2, replace(DOWNLOAD, user_id=uuid7()))
    transfer_range(recorder, 3, replace(DOWNLOAD, version_id=uuid7()))
    await recorder.close()

    assert book.sizes == [1, 2, 3]


async def test_a_range_goes_on_with_a_whole_transfer_that_broke(recorder: DownloadRecorder, book: Book) -> None:
    transfer(recorder, 400)
    transfer_range(recorder, 600)
    await recorder.close()

    assert book.sizes == [1000]


async def test_whole_transfers_are_downloads_of_their_own(recorder: DownloadRecorder, book: Book) -> None:
    transfer(recorder, 1000)
    transfer(recorder, 1000)
    transfer_range(recorder, 10)
    transfer(recorder, 400)
    await recorder.close()

    assert book.sizes == [1000, 1000, 10, 400]


async def test_a_whole_transfer_beside_another_does_not_end_it(recorder: DownloadRecorder, book: Book) -> None:
    first = recorder.begin(DOWNLOAD, FACTS, is_range=False)
    second = recorder.begin(DOWNLOAD, FACTS, is_range=False)
    recorder.end(first, 10)
    transfer_range(recorder, 5)
    recorder.end(second, 100)
    await recorder.close()

    assert book.sizes == [10, 105]


async def test_a_failing_database_is_tried_again_and_told_of(recorder: DownloadRecorder, book: Book) -> None:
    book.is_closed = True
    with capture_logs() as logs:
        transfer(recorder, 1000)
        await until(lambda: book.attempts >= 2)
        transfer(recorder, 900)
        book.is_closed = False
        await until(lambda: book.sizes == [1000, 900])

    assert logs[0]["event"] == "downloads could not be written"
    assert book.lines[next(iter(book.lines))].may_exist


async def test_what_cannot_be_kept_is_given_up_oldest_first_and_counted(book: Book, clock: MovableClock) -> None:
    recorder = DownloadRecorder(book.write, clock, wait_seconds=0.01, maximum_kept=3)
    book.is_closed = True
    with capture_logs() as logs:
        for sent in range(5):
            transfer(recorder, sent)
        await until(lambda: book.attempts >= 1)
        book.is_closed = False
        await recorder.close()

    assert book.sizes == [2, 3, 4]
    assert sum(line["lost"] for line in logs if line["event"] == "downloads not recorded") == 2


async def test_what_can_be_continued_is_bounded(book: Book, clock: MovableClock) -> None:
    recorder = DownloadRecorder(book.write, clock, wait_seconds=0.01, maximum_kept=10)
    for _ in range(50):
        transfer_range(recorder, 1, replace(DOWNLOAD, user_id=uuid7()))
    transfer(recorder, 1000)

    assert len(recorder._recent) <= 11
    clock.time += timedelta(minutes=2)
    transfer(recorder, 1000)
    assert not recorder._recent
    assert not recorder._active


async def test_a_download_never_waits_for_the_database(recorder: DownloadRecorder, book: Book) -> None:
    book.gate.clear()
    transfer_range(recorder, 1)
    await until(lambda: book.attempts == 1)
    transfer_range(recorder, 2)
    assert book.sizes == []

    book.gate.set()
    await until(lambda: book.sizes == [3])


async def test_closing_writes_what_waits_at_once(book: Book, clock: MovableClock) -> None:
    recorder = DownloadRecorder(book.write, clock, wait_seconds=3600)
    transfer(recorder, 1000)
    await asyncio.sleep(0)
    await recorder.close()

    assert book.sizes == [1000]


async def test_closing_with_nothing_to_write_is_silent(recorder: DownloadRecorder, book: Book) -> None:
    with capture_logs() as logs:
        await recorder.close()

    assert (logs, book.attempts) == ([], 0)


async def test_closing_does_not_insist_on_a_database_that_fails(recorder: DownloadRecorder, book: Book) -> None:
    book.is_closed = True
    transfer(recorder, 1000)
    with capture_logs() as logs:
        await recorder.close()

    assert (logs[-1]["event"], logs[-1]["lost"]) == ("downloads not recorded", 1)


async def test_closing_does_not_hang_with_a_database_that_hangs(book: Book, clock: MovableClock) -> None:
    recorder = DownloadRecorder(book.write, clock, wait_seconds=0.01, closing_seconds=0.05)
    book.gate.clear()
    transfer(recorder, 1000)
    with capture_logs() as logs:
        await recorder.close()

    assert logs[-1]["lost"] == 1


async def test_records_reach_the_database(database_url: str, clock: MovableClock) -> None:
    db = Database(database_url)
    recorder = DownloadRecorder.into(db, clock)
    transfer_range(recorder, 10)
    transfer(recorder, 1000, replace(DOWNLOAD, version_id=uuid7()))
    await recorder.close()
    transfer_range(recorder, 90)
    await recorder.close()

    async with db.reading() as rows:
        written = await rows.all(select(col(Event.kind), col(Event.size)).order_by(col(Event.id)))
    assert [tuple(row) for row in written] == [("file.downloaded", 100), ("file.downloaded", 1000)]
    await db.close()
