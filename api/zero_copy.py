"""Files from the disk to the socket without passing through this process, as an ASGI extension of the server.

`http.response.zerocopysend` is the extension's name in the ASGI specification. The message goes out through every
middleware like any other, and ends here: `sendfile(2)` in a few threads, since a file that is not in memory would keep
the event loop waiting for the disk.
"""

import asyncio
import errno
import os
import select
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.types import Message

ZERO_COPY: Final = "http.response.zerocopysend"

Copy = Callable[[int, int, int, int], int]

THREADS = 4
# A reader that keeps up is worth waiting for: giving the thread back and asking for it again costs more.
_PATIENCE_MILLISECONDS = 1
_COPIED_BYTES = 1024**2
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class FileTruncated(OSError):  # noqa: N818
    """The file has fewer bytes than were to be sent."""


class ClientLeft(ConnectionError):  # noqa: N818
    """The connection is gone."""


def file_message(descriptor: int, offset: int, count: int, on_sent: Callable[[int], None]) -> Message:
    """The message that sends `count` bytes of a file from `offset` on; an ordinary body message has to follow.

    Beside the specification's keys, `on_sent` is told how many bytes have gone each time. A middleware may add
    `patience_seconds`: how long the client may take nothing before TimeoutError is raised.
    """
    return {"type": ZERO_COPY, "file": descriptor, "offset": offset, "count": count, "on_sent": on_sent}


class _Cycle(Protocol):
    expected_content_length: int
    disconnected: bool


class _Flow(Protocol):
    async def drain(self) -> None: ...


def send_file(socket: int, file: int, offset: int, count: int) -> int:
    """Copy from a file to a socket in the kernel, or here where the file system cannot; 0 at the file's end."""
    try:
        return os.sendfile(socket, file, offset, count)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return copy_bytes(socket, file, offset, count)


def copy_bytes(socket: int, file: int, offset: int, count: int) -> int:
    """The same, for every file that can be read."""
    piece = os.pread(file, min(count, _COPIED_BYTES), offset)
    return os.write(socket, piece) if piece else 0


@dataclass(frozen=True, slots=True)
class FileSender:
    """Sends parts of files on one connection, in the middle of the answer that `cycle` is making."""

    transport: asyncio.Transport
    flow: _Flow
    cycle: _Cycle
    threads: ThreadPoolExecutor
    copy: Copy = send_file

    async def send(self, message: Message) -> None:
        """Put one message's bytes into the socket.

        Raises ClientLeft, FileTruncated and TimeoutError.
        """
        patience_seconds: float | None = message.get("patience_seconds")
        async with asyncio.timeout(patience_seconds):
            await self._drain()
        if self.cycle.disconnected or self.transport.is_closing():
            raise ClientLeft
        # Numbers of our own: a thread may still be using them when others close theirs, and what is opened next under
        # the same number would go out instead.
        socket, file = os.dup(self.transport.get_extra_info("socket").fileno()), os.dup(message["file"])
        offset, end = message["offset"], message["offset"] + message["count"]
        job: asyncio.Future[int] | None = None
        try:
            while offset < end:
                job = self._start(socket, file, offset, end)
                sent = await asyncio.shield(job)
                offset += sent
                self.cycle.expected_content_length -= sent
                message["on_sent"](sent)
                if offset < end:
                    async with asyncio.timeout(patience_seconds):
                        await _writable(socket)
        except ConnectionError as error:
            self.transport.abort()
            raise ClientLeft from error
        finally:
            _close_after(job, socket, file)

    def _start(self, socket: int, file: int, offset: int, end: int) -> asyncio.Future[int]:
        return asyncio.get_running_loop().run_in_executor(self.threads, _send, socket, file, offset, end, self.copy)

    async def _drain(self) -> None:
        """Wait until what was written before is in the socket, which the server knows nothing of."""
        _, high = self.transport.get_write_buffer_limits()
        self.transport.set_write_buffer_limits(high=0)
        try:
            await asyncio.sleep(0)  # what was written in this turn of the loop goes out at its end
            if self.transport.get_write_buffer_size():
                await self.flow.drain()
        finally:
            self.transport.set_write_buffer_limits(high=high)


def _send(socket: int, file: int, offset: int, end: int, copy: Copy) -> int:
    """Send what the socket takes, at least a byte unless it is full; the number of bytes sent."""
    start = offset
    try:
        while offset < end:
            count = copy(socket, file, offset, end - offset)
            if count == 0:
                raise FileTruncated(f"the file ends {end - offset} bytes early")
            offset += count
            if offset < end and not _takes_more(socket):
                break
    except BlockingIOError:
        pass
    except OSError:
        # What was sent before has to be counted; the next call meets the fault again.
        if offset == start:
            raise
    return offset - start


def _takes_more(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLOUT)
    return bool(poll.poll(_PATIENCE_MILLISECONDS))


async def _writable(socket: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(socket, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(socket)


def _close_after(job: asyncio.Future[int] | None, *descriptors: int) -> None:
    if job is None or job.done():
        for descriptor in descriptors:
            os.close(descriptor)
    else:
        job.add_done_callback(lambda done: _close_after(done, *descriptors))
