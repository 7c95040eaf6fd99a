"""When the use of an API key is noted, and what a failing database costs."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from api import key_uses
from api.key_uses import KeyUses
from domain.key_holders import KeyHolder
from domain.viewer import NOBODY
from tests.machine import PATIENCE_SECONDS
from tests.records import NOW, MovableClock


class Book:
    """Keeps what is written; fails or hangs while told to."""

    def __init__(self) -> None:
        self.batches: list[list[UUID]] = []
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._attempted = asyncio.Event()

    async def write(self, api_key_ids: Sequence[UUID]) -> None:
        await self.gate.wait()
        self._attempted.set()
        if self.fault:
            raise self.fault
        self.batches.append(list(api_key_ids))

    async def attempt(self) -> None:
        """Wait for the next attempt to write."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._attempted.wait()
        self._attempted.clear()
        await asyncio.sleep(0.01)


def holder(key_id: UUID, ago: timedelta | None = None) -> KeyHolder:
    return KeyHolder(NOBODY, key_id, None if ago is None else NOW - ago)


async def test_uses_are_gathered_and_written_once_each() -> None:
    book, keys = Book(), sorted(uuid7() for _ in range(3))
    uses = KeyUses(book.write, MovableClock(), wait_seconds=0.02)
    for key in keys * 10:
        uses.note(holder(key))
    assert book.batches == []
    await book.attempt()
    uses.note(holder(keys[0], timedelta(minutes=1)))
    await book.attempt()
    assert book.batches == [keys, keys[:1]]


async def test_what_was_noted_less_than_a_minute_ago_is_not_written_again() -> None:
    book = Book()
    uses = KeyUses(book.write, MovableClock(), wait_seconds=0)
    uses.note(holder(uuid7(), timedelta(seconds=59)))
    await uses.close()
    assert book.batches == []


async def test_what_comes_while_others_are_written_is_written_after_them() -> None:
    book, keys = Book(), sorted(uuid7() for _ in range(2))
    book.gate.clear()
    uses = KeyUses(book.write, MovableClock(), wait_seconds=0)
    uses.note(holder(keys[0]))
    await asyncio.sleep(0.05)
    uses.note(holder(keys[1]))
    book.gate.set()
    await uses.close()
    assert book.batches == [keys[:1], keys[1:]]


async def test_a_database_that_fails_costs_a_line_in_the_log_and_the_next_use_is_noted() -> None:
    book, key = Book(), uuid7()
    uses = KeyUses(book.write, MovableClock(), wait_seconds=0)
    book.fault = OSError("the database is away")
    with capture_logs() as logs:
        uses.note(holder(key))
        await book.attempt()
    assert [line["event"] for line in logs] == ["uses of API keys could not be written"]
    book.fault = None
    uses.note(holder(key))
    await book.attempt()
    assert book.batches == [[key]]


async def test_closing_writes_what_waits_and_has_no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    book, key = Book(), uuid7()
    uses = KeyUses(book.write, MovableClock(), wait_seconds=60)
    uses.note(holder(key))
    await uses.close()
    assert book.batches == [[key]]

    monkeypatch.setattr(key_uses, "CLOSING_SECONDS", 0.05)
    book.gate.clear()
    hanging = KeyUses(book.write, MovableClock(), wait_seconds=0)
    hanging.note(holder(key))
    await hanging.close()
    assert book.batches == [[key]]
