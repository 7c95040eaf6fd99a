"""The service on a machine that fails: `python -m tests.faults serve`, with the path of a Plan in FAULTS_PLAN.

What is wrapped are the calls with which a process changes a disk and a database, below all code of the service. One
that is killed is started again in the same place once the file FAULTS_PLAN with the suffix `.again` is there, by a
process that has read all modules already.
"""

import ctypes
import errno
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

import asyncpg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.default import DefaultDialect

from tests.faults.plan import Fault, Plan

PLAN = Path(os.environ["FAULTS_PLAN"])
AGAIN = PLAN.with_suffix(".again")
ERRORS = {
    Fault.BROKEN: errno.EIO,
    Fault.UNANSWERED: errno.EIO,
    Fault.FULL: errno.ENOSPC,
    Fault.STILL_FULL: errno.ENOSPC,
}
PR_SET_PDEATHSIG = 1
SMALL_BYTES = 4 << 10
CALLS = {
    "pwritev": "write",
    "pwrite": "write",
    "writev": "write",
    "ftruncate": "truncate",
    "copy_file_range": "copy",
    "pread": "read",
    "preadv": "read",
    "fdatasync": "sync",
    "mkdir": "make folder",
    "rename": "rename",
    "replace": "rename",
    "link": "link",
    "unlink": "remove",
}

_lock = Lock()
_plan = Plan(PLAN)
_written: set[int] = set()
_written_by: set[int] = set()


def struck_by(kind: str) -> Fault:
    """What is to happen to a step of this kind; nothing comes back from a kill before it."""
    with _lock:
        fault = _plan.count(kind)
        if fault is Fault.KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        return fault


def failing(kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """A call that is a step."""

    def step(*args: Any, **kwargs: Any) -> Any:
        fault = struck_by(kind)
        if fault is Fault.FULL and kind == "write":
            return half_of(call, *args)
        if fault in ERRORS:
            raise OSError(ERRORS[fault], os.strerror(ERRORS[fault]))
        result = call(*args, **kwargs)
        if fault is Fault.KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return step


def half_of(call: Callable[..., Any], descriptor: int, data: Any, *rest: Any) -> Any:
    """What a disk takes that is about to be full. A write so small that there is no half of it fails."""
    is_one = isinstance(data, bytes | bytearray | memoryview)
    joined = b"".join([data] if is_one else data)
    half = joined[: len(joined) // 2]
    if len(half) < SMALL_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return call(descriptor, half if is_one else [half], *rest)


def install() -> None:
    """Wrap the calls, before anybody has taken hold of them."""
    for name, kind in CALLS.items():
        setattr(os, name, failing(kind, getattr(os, name)))
    created, opened = failing("create", os.open), os.open
    synced, synced_folder = failing("sync", os.fsync), failing("sync folder", os.fsync)

    def open_(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        descriptor: int = (created if flags & os.O_CREAT else opened)(path, flags, *args, **kwargs)
        return descriptor

    def fsync(descriptor: int) -> None:
        (synced_folder if stat.S_ISDIR(os.fstat(descriptor).st_mode) else synced)(descriptor)

    os.open, os.fsync = open_, fsync  # type: ignore[assignment]
    event.listen(Engine, "after_cursor_execute", note_written)
    asyncpg.Connection.fetch = noting(asyncpg.Connection.fetch)
    event.listen(Engine, "commit", note_commit)
    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]


def note_written(connection: Connection, cursor: Any, *rest: Any) -> None:
    """Remember which connections have something to commit."""
    context = rest[2]
    if context.isinsert or ((context.isupdate or context.isdelete) and cursor.rowcount > 0):
        connection.info["has_written"] = True


def noting(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """The same of statements that go straight to PostgreSQL's driver."""

    async def fetched(driver: asyncpg.Connection, text: str, *args: Any, **kwargs: Any) -> Any:
        if text.lstrip().startswith(("INSERT", "WITH")):
            _written_by.add(id(driver))
        return await fetch(driver, text, *args, **kwargs)

    return fetched


def note_commit(connection: Connection) -> None:
    """Tell `do_commit`, which comes next and knows nothing but the connection."""
    own = id(connection.connection.driver_connection)
    has_written = own in _written_by
    _written_by.discard(own)
    if connection.info.pop("has_written", has_written):
        _written.add(id(connection.connection))


def do_commit(_dialect: DefaultDialect, connection: Any) -> None:
    """A commit, which is a step if something was written."""
    fault = Fault.NONE
    if id(connection) in _written:
        _written.discard(id(connection))
        fault = struck_by("commit")
    if fault in {Fault.BROKEN, Fault.FULL, Fault.STILL_FULL}:
        fail(connection, fault)
    connection.commit()
    if fault is Fault.UNANSWERED:
        fail(connection, fault)
    if fault is Fault.KILLED_AFTER:
        os.kill(os.getpid(), signal.SIGKILL)


def fail(connection: Any, fault: Fault) -> NoReturn:
    """What a commit meets whose server is gone, or whose disk is."""
    driver = connection.driver_connection
    if ERRORS[fault] == errno.EIO and isinstance(driver, asyncpg.Connection):
        driver.terminate()
    raise OSError(ERRORS[fault], os.strerror(ERRORS[fault]))


def supervise(serve: Callable[[], None]) -> int:
    """Serve in a child; again where it was killed and is wanted again. The status of the last one."""
    while True:
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            serve()
            return 0

        def pass_on(number: int, _frame: Any, child: int = child) -> None:
            with suppress(ProcessLookupError):
                os.kill(child, number)
            AGAIN.unlink(missing_ok=True)

        signal.signal(signal.SIGTERM, pass_on)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            return os.waitstatus_to_exitcode(status)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while not AGAIN.exists():
            time.sleep(0.01)
        AGAIN.unlink()


if __name__ == "__main__":
    install()
    # Only now: what is wrapped has to be so before the service takes hold of it.
    from api.commands import main

    sys.exit(supervise(main))
