"""The process beside a store that settles its small blobs, as the store sees it."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from contextvars import Context
from pathlib import Path
from typing import Any, cast

from storage.faults import told
from storage.layout import Layout
from storage.settling import SmallBlob
from storage.store import Stored, StoreError
from storage.threads import Threads, see_failure

_SOURCE = Path(__file__).parent.parent
_PAUSE_SECONDS = 30.0
"""How long after one was begun another may be: what ended the one may end the next."""
_PATIENCE_SECONDS = 60.0
"""What takes longer to answer never will."""
_ENDING_SECONDS = 5.0
_GONE = "the process that settles small blobs is gone"

_log = logging.getLogger(__name__)


class SettlerProcess(asyncio.Protocol):
    """Started when it is first of use. While there is none, everything else goes on without it."""

    def __init__(self, layout: Layout, threads: Threads) -> None:
        self._layout = layout
        self._threads = threads
        self._began_at = -_PAUSE_SECONDS
        self._starting: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._reaping: asyncio.Future[None] | None = None
        self._received = b""
        self._answer: asyncio.Future[Any] | None = None
        self._is_ready = False
        self._is_closed = False

    @property
    def is_ready(self) -> bool:
        """Whether it takes blobs."""
        return self._is_ready

    def start(self) -> None:
        """Begin to start it, unless that was done lately."""
        is_under_way = self._process is not None or (self._starting is not None and not self._starting.done())
        if self._is_closed or is_under_way or time.monotonic() - self._began_at < _PAUSE_SECONDS:
            return
        self._began_at = time.monotonic()
        # A context of its own: what it logs is no single request's.
        self._starting = asyncio.get_running_loop().create_task(self._start(), context=Context())

    def settle_all(self, blobs: Sequence[SmallBlob], ended: Sequence[str]) -> asyncio.Future[Any]:
        """Have blobs settled and leases end; `outcomes_of` tells what came of it. One request at a time.

        Its result raises StoreError when the process is gone. Nobody knows then what it did: what it left has a lease,
        which runs out.
        """
        answer = self._awaited()
        request = {"blobs": [(blob.key, len(blob.data)) for blob in blobs], "ended": ended}
        transport = cast("asyncio.Transport", self._transport)  # there is one when it is ready
        transport.writelines([json.dumps(request).encode() + b"\n", *(blob.data for blob in blobs)])
        return answer

    async def close(self) -> None:
        """Have it end."""
        self._is_closed = True
        if self._starting is not None:
            await asyncio.wait({self._starting})
        if self._transport is not None:
            self._transport.close()
        self._lose()
        if self._reaping is not None:
            await asyncio.wait({self._reaping})

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process has its end of the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Part of an answer came, which is one line."""
        self._received += data
        if not self._received.endswith(b"\n"):
            return
        line, self._received = self._received, b""
        try:
            answer = json.loads(line)
        except ValueError:
            self._kill()
            return
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def connection_lost(self, _: Exception | None) -> None:
        """The process is gone."""
        self._lose()

    def _lose(self) -> None:
        self._is_ready, self._transport, self._received = False, None, b""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(StoreError(_GONE))
        if self._process is not None:
            process, self._process = self._process, None
            try:
                self._reaping = self._threads.start(_reap, process)
            except StoreError:  # the threads are closed, so that nobody else could wait for it
                process.kill()
                process.wait()

    async def _start(self) -> None:
        try:
            self._process, own = await self._threads.run(_spawn, self._layout.folder.absolute())
            answer = self._awaited()
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=own)
            _require_same(await answer, self._layout.identity)
            self._is_ready = True
        except (StoreError, OSError):
            _log.exception("no process that settles small blobs could be started: threads settle them")
            self._lose()

    def _awaited(self) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._answer.add_done_callback(see_failure)
        impatience = loop.call_later(_PATIENCE_SECONDS, self._kill, context=Context())
        self._answer.add_done_callback(lambda _: impatience.cancel())
        return self._answer

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()


def outcomes_of(blobs: Sequence[SmallBlob], answer: Any) -> list[Stored | StoreError]:  # noqa: ANN401 - JSON
    """What an answer of the process says of each blob. Raises StoreError when it says something else."""
    try:
        fault, told_of = answer["fault"], answer["blobs"]
        outcomes = [_outcome(blob, *each) for blob, each in zip(blobs, told_of, strict=True)]
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("the process that settles small blobs has answered something else") from error
    if fault:
        _log.warning("leases could not be ended, and run out: %s", fault)
    return outcomes


def _outcome(blob: SmallBlob, first: str | int | None, second: int | str) -> Stored | StoreError:
    if isinstance(first, str) and isinstance(second, int):
        return Stored(blob.key, len(blob.data), first, second)
    return told(first if isinstance(first, int) else 0, str(second))


def _require_same(found: object, own: object) -> None:
    if found != own:
        raise StoreError("the process that settles small blobs has found another folder")


def _spawn(folder: Path) -> tuple[subprocess.Popen[bytes], socket.socket]:
    own, other = socket.socketpair()
    with other, ExitStack() as on_failure:
        on_failure.callback(own.close)
        # A session of its own: what a terminal sends to the service is not for it, which ends when the service does.
        command, end = [sys.executable, "-m", "storage.settler", os.fspath(folder)], other.fileno()
        process = subprocess.Popen(command, cwd=_SOURCE, stdin=end, stdout=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
        on_failure.pop_all()
    return process, own


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Let it end, as it does with its input unless it hangs."""
    try:
        process.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
