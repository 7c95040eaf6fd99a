"""Who asks for an upload has it let go of; nothing is told, asked or waited for where nobody sends its bytes."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from db.models import UploadState
from db.rows import UploadRow
from domain import topics
from domain.backends import Backends
from domain.errors import Unavailable
from domain.pieces import Piece, reach_of
from domain.takeovers import Hold, take_over
from domain.upload_errors import UploadBusy, UploadEnded
from domain.upload_sessions import abort_upload
from tests.backstage import counted
from tests.domain.receiving import Faulty, announced, is_exact, piece
from tests.machine import PATIENCE_SECONDS
from tests.scenes import FACTS, Scene


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite: what other processes do is tested with live ones."""
    url: str = request.getfixturevalue("sqlite_url")
    return url


@dataclass
class Sending:
    """A request that brings some bytes once it may, and hangs."""

    backends: Backends
    upload: UploadRow
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    may_send: asyncio.Event = field(default_factory=asyncio.Event)
    has_sent: asyncio.Event = field(default_factory=asyncio.Event)

    async def hang(self) -> None:
        """Raises what becomes of it."""
        reception = Piece(self.backends, self.upload, 0, 11)
        with Hold(self.backends, self.upload.id) as hold:
            await reception.open()
            self.is_open.set()
            await self.may_send.wait()
            async with hold.sending():
                try:
                    await reception.write(b"hello ")
                    self.has_sent.set()
                    await asyncio.Event().wait()
                finally:
                    await reception.cut()


async def test_whoever_sends_lets_go_and_what_came_is_durable(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    sending = Sending(backends, upload)
    request = asyncio.create_task(sending.hang())
    sending.may_send.set()
    await sending.has_sent.wait()
    await take_over(backends, upload, PATIENCE_SECONDS)
    assert await reach_of(backends, upload) == 6
    assert (await piece(backends, upload._replace(received=6), b"world")).received == 11
    with pytest.raises(UploadBusy):
        await request
    assert scene.db.bus.topics == frozenset()


async def test_a_request_that_is_still_let_in_lets_go_as_soon_as_it_is(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    sending = Sending(backends, upload)
    request = asyncio.create_task(sending.hang())
    await sending.is_open.wait()
    told = asyncio.Event()
    scene.db.bus.listen(topics.of_senders(upload.id), lambda _: told.set())
    asking = asyncio.create_task(take_over(backends, upload, PATIENCE_SECONDS))
    await told.wait()
    sending.may_send.set()
    await asking
    with pytest.raises(UploadBusy):
        await request
    assert (await piece(backends, upload._replace(received=6), b"world")).received == 11


async def test_where_nobody_sends_nothing_is_told_and_the_records_are_not_asked(
    scene: Scene, backends: Backends
) -> None:
    fresh = await announced(backends, scene)
    begun = await piece(backends, await announced(backends, scene), b"hello ")
    told: list[Any] = []
    for upload in (fresh, begun):
        scene.db.bus.listen(topics.of_senders(upload.id), told.append)
        with counted() as statements:
            await take_over(backends, upload, PATIENCE_SECONDS)
        assert (statements, told) == ([], [])


async def test_who_does_not_hear_it_is_waited_for_no_longer_than_said(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    writer = await backends.store.extend(upload.blob_key, 0)
    await writer.write(b"hello ")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await take_over(backends, upload, 0.05)
        # Who is reading what has come, to make a file of it, is not asked for it.
        await take_over(backends, upload._replace(state=UploadState.VERIFYING), 10 * PATIENCE_SECONDS)
    assert await writer.close() == 6


async def test_who_sends_is_told_that_the_upload_has_ended(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    sending = Sending(backends, upload)
    request = asyncio.create_task(sending.hang())
    sending.may_send.set()
    await sending.has_sent.wait()
    async with scene.db.transaction() as tx:
        await abort_upload(tx, backends.ports, scene.viewer("owner"), upload.id, FACTS)
    with pytest.raises(UploadEnded) as ended:
        await request
    assert ended.value.state == UploadState.ABORTED
    assert await is_exact(scene.db)


async def test_a_time_limit_of_what_is_done_meanwhile_is_no_takeover(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    with Hold(backends, upload.id) as hold, pytest.raises(TimeoutError):
        async with hold.sending(), asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_a_request_that_is_cancelled_is_no_takeover(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    sending = Sending(backends, upload)
    request = asyncio.create_task(sending.hang())
    sending.may_send.set()
    await sending.has_sent.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await reach_of(backends, upload) == 6


async def test_a_store_that_cannot_say_who_sends_is_unavailable(
    scene: Scene, backends: Backends, store: Faulty
) -> None:
    upload = await announced(backends, scene)
    store.failing = "is_extended"
    with pytest.raises(Unavailable):
        await take_over(backends, upload)
