"""Jobs outside the event loop, and what becomes of their failures."""

import asyncio
import errno
import gc
import threading
from typing import Any, Never

import pytest

from storage.store import StoreError, StoreFull
from storage.threads import Threads


def fail(number: int) -> Never:
    raise OSError(number, "no")


async def test_jobs_run_in_threads_of_the_store() -> None:
    threads = Threads(2)
    assert (await threads.run(threading.current_thread)).name.startswith("store")
    threads.close()


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, StoreError), (errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull)]
)
async def test_faults_of_the_system_come_out_as_those_of_a_store(number: int, kind: type[StoreError]) -> None:
    threads = Threads(1)
    with pytest.raises(StoreError) as caught:
        await threads.run(fail, number)
    assert caught.type is kind
    assert isinstance(caught.value.__cause__, OSError)
    threads.close()


async def test_a_job_whose_caller_is_cancelled_goes_on_and_fails_unseen() -> None:
    threads = Threads(1)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    go_on = threading.Event()

    def job() -> None:
        go_on.wait(5)
        fail(errno.EIO)

    caller = asyncio.create_task(threads.run(job))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    threads.close()
    await asyncio.sleep(0.01)
    gc.collect()
    assert complaints == []


async def test_a_job_that_is_cancelled_itself_is_no_failure() -> None:
    threads = Threads(1)
    go_on = threading.Event()
    first, second = threads.start(go_on.wait, 5), threads.start(fail, errno.EIO)
    second.cancel()
    go_on.set()
    assert await first
    with pytest.raises(asyncio.CancelledError):
        await second
    threads.close()
