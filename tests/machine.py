"""What this machine has to run tests with: programs, ports, and what becomes of a test whose program is missing."""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from random import SystemRandom
from typing import NoReturn

import pytest

PATIENCE_SECONDS = 60
"""More than anything here takes on any machine: for tests that would wait for ever for what is broken."""
PORTS = range(20_000, 32_000)
"""Below 32,768, from where on Linux gives ports to connections; elsewhere that begins higher."""
_chance = SystemRandom()


def absent(component: str, reason: str) -> NoReturn:
    """End a test whose component is missing: skipped, but failed where CAIRN_TEST_REQUIRE names the component."""
    if component in os.environ.get("CAIRN_TEST_REQUIRE", "").split(","):
        pytest.fail(f"CAIRN_TEST_REQUIRE names {component}: {reason}", pytrace=False)
    pytest.skip(reason)


def program(component: str, *names: str) -> str:
    """The path of a component's program, under the first of its names that exists; absent() when none does."""
    names = names or (component,)
    for name in names:
        if path := shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"):
            return path
    absent(component, f"{' or '.join(names)} is not installed")


def free_port(count: int = 1) -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago; the first of so many in a row.

    None of those that connections are given: one of them could have it before the server that it is meant for.
    """
    while True:
        first = _chance.choice(PORTS)
        with suppress(OSError), ExitStack() as probes:
            for port in range(first, first + count):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def listens(port: int) -> bool:
    """Whether somebody accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(reached: Callable[[], bool], seconds: float) -> bool:
    """Whether it was reached in time; blocks."""
    end = time.monotonic() + seconds
    while not (done := reached()) and time.monotonic() < end:
        time.sleep(0.02)
    return done


async def comes_true(reached: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it was reached in time; the loop goes on meanwhile."""
    end = time.monotonic() + seconds
    while not (done := reached()) and time.monotonic() < end:  # noqa: ASYNC110 - what is waited for sets no event
        await asyncio.sleep(0.02)
    return done
