"""Faults at the steps of every way for bytes to come in: a disk that fails or is full, commits that do, and kill -9.

After each, what was acknowledged is there with its bytes, nothing else is shown, the ledger is exact, and the client
gets its file there; in the end everything on the disk has a reason. See `ground`.
"""

import os
from pathlib import Path
from zlib import crc32

import pytest

from tests.faults.ground import Ground, Strike, ground
from tests.faults.plan import KINDS, TAKES_ROOM, Fault
from tests.faults.senders import SENDERS, Multipart, Parts, Sender, Tus

HAPPENS_AT = {
    Fault.BROKEN: KINDS,
    Fault.FULL: (*TAKES_ROOM, "sync"),
    Fault.UNANSWERED: ("commit",),
    Fault.KILLED: KINDS,
}
"""The kinds of steps that a fault is tried at."""

STRIDE = int(os.environ.get("CAIRN_TEST_STRIDE", "41"))
"""One step in so many is tried, from another one on in each test; CAIRN_TEST_STRIDE=1 tries all, for an hour."""

SPARED_STEPS = 2
"""A blob whose folder is there already takes so many steps less."""


@pytest.mark.slow
async def test_an_upload_that_meets_a_fault_loses_nothing_and_goes_on(database_url: str, tmp_path: Path) -> None:
    async with ground(tmp_path, database_url, {}) as place:
        for kind in (Multipart, Tus, Parts):
            clean = await place.steps_of(kind)
            settling = "link" if kind is Multipart else "rename"
            for name in ("write", settling, "commit"):
                assert await break_last(place, kind, name, clean)


async def break_last(place: Ground, kind: type[Sender], name: str, clean: list[str]) -> bool:
    """Break the last step that is called so. How many writes there are hangs on the pace at which the bytes come."""
    for number in range(clean.count(name), 0, -1):
        if await place.prove(kind, Strike(Fault.BROKEN, number, [name]), clean):
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("kind", SENDERS)
@pytest.mark.parametrize("fault", HAPPENS_AT, ids=lambda fault: fault.name)
async def test_whatever_step_meets_a_fault_nothing_is_lost(
    database_url: str, tmp_path: Path, kind: type[Sender], fault: Fault
) -> None:
    kinds = HAPPENS_AT[fault]
    async with ground(tmp_path, database_url, kind.environment) as place:
        clean = await place.steps_of(kind)
        number = 1 + crc32(f"{kind.__name__} {fault} {database_url[:6]}".encode()) % STRIDE
        while await place.prove(kind, Strike(fault, number, kinds), clean):
            number += STRIDE
        assert number > sum(name in kinds for name in clean) - SPARED_STEPS


@pytest.mark.slow
@pytest.mark.parametrize("kind", SENDERS)
async def test_whoever_is_killed_after_the_last_commit_has_made_a_file(
    database_url: str, tmp_path: Path, kind: type[Sender]
) -> None:
    async with ground(tmp_path, database_url, kind.environment) as place:
        clean = await place.steps_of(kind)
        number = clean.count("commit")
        assert await place.prove(kind, Strike(Fault.KILLED_AFTER, number, ["commit"]), clean)
