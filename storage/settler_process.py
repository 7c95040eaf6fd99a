"""The process beside a store that settles its small blobs, as the store sees it."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from contextvars import Context
from pathlib import Path

from storage.faults import translated
from storage.settling import SmallBlob
from storage.store import Stored, StoreError
from storage.threads import Threads

_SOURCE = Path(__file__).parent.parent
_PAUSE_SECONDS = 30.0
"""How long after one was begun another may be: what ended the one may end the next."""

_log = logging.getLogger(__name__)


class SettlerProcess:
    """Started when it is first of use. While there is none, everything else goes on without it."""

    def __init__(self, folder: Path, threads: Threads) -> None:
        self._folder = folder
        self._threads = threads
        self._began_at = -_PAUSE_SECONDS
        self._starting: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._is_ready = False

    @property
    def is_ready(self) -> bool:
        """Whether it takes blobs."""
        return self._is_ready

    def start(self) -> None:
        """Begin to start it, unless that was done lately."""
        is_starting = self._starting is not None and not self._starting.done()
        if not is_starting and time.monotonic() - self._began_at >= _PAUSE_SECONDS:
            self._began_at = time.monotonic()
            self._starting = asyncio.get_running_loop().create_task(self._start(), context=Context())

    async def settle_all(self, blobs: Sequence[SmallBlob], ended: Sequence[str]) -> list[Stored | StoreError]:
        """What became of each blob, and end leases. One request at a time. Raises StoreError when the process is gone.

        Nobody knows then what it did of this request: what it left has a lease, which runs out.
        """
        if self._streams is None:
            raise StoreError("the process that settles small blobs is gone")
        reader, writer = self._streams
        try:
            request = {"blobs": [(blob.key, len(blob.data)) for blob in blobs], "ended": ended}
            writer.write(json.dumps(request).encode() + b"\n")
            writer.writelines([blob.data for blob in blobs])
            await writer.drain()
            answer = json.loads(await reader.readuntil(b"\n"))
            outcomes = [outcome_of(blob, *told) for blob, told in zip(blobs, answer["blobs"], strict=True)]
        except (OSError, EOFError, ValueError) as error:
            _log.warning("the process that settles small blobs is gone; another will be started")
            await self._end()
            raise StoreError("the process that settles small blobs is gone") from error
        if answer["fault"]:
            _log.warning("leases could not be ended, and run out: %s", answer["fault"])
        return outcomes

    async def close(self) -> None:
        """End it, once it has answered what it was asked."""
        if self._starting is not None:
            await asyncio.wait({self._starting})
        await self._end()

    async def _start(self) -> None:
        try:
            self._process, own = await self._threads.run(_spawn, self._folder)
            self._streams = streams = await asyncio.open_connection(sock=own)
            await streams[0].readuntil(b"\n")
            self._is_ready = True
        except (StoreError, OSError, EOFError):
            _log.exception("no process that settles small blobs could be started: threads settle them")
            await self._end()

    async def _end(self) -> None:
        self._is_ready = False
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        if self._process is not None:
            process, self._process = self._process, None
            await self._threads.run(process.wait)


def _spawn(folder: Path) -> tuple[subprocess.Popen[bytes], socket.socket]:
    own, other = socket.socketpair()
    with other, ExitStack() as on_failure:
        on_failure.callback(own.close)
        # A session of its own: what a terminal sends to the service is not for it, which ends when the service does.
        command, end = [sys.executable, "-m", "storage.settler", str(folder)], other.fileno()
        process = subprocess.Popen(command, cwd=_SOURCE, stdin=end, stdout=end, start_new_session=True)  # noqa: S603
        on_failure.pop_all()
    return process, own


def outcome_of(blob: SmallBlob, first: str | int, second: int | str) -> Stored | StoreError:
    """What the process told of a blob: digest and CRC-32, or the number and text of what went wrong."""
    if isinstance(first, str) and isinstance(second, int):
        return Stored(blob.key, len(blob.data), first, second)
    try:
        with translated():
            raise OSError(first, second)
    except StoreError as failure:
        return failure
