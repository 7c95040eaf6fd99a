"""A service to be struck by faults, and what must be true of it afterwards."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from httpx2 import AsyncClient, HTTPError
from sqlalchemy import select, update
from sqlmodel import col

from db import quotas
from db.engine import Database, Transaction
from db.models import Blob, Job, Upload, UploadState, Version
from db.uploads import GROWING, LIVE
from tests.asking import Account, ask, sign_up
from tests.faults.plan import KINDS, Fault, Plan
from tests.faults.senders import NotDone, Sender
from tests.live import Live, cold, serving
from tests.machine import free_port, wait_for

# More than is gathered before it is written, so that there is a step in the middle.
CONTENT = ("words, and more of them\n" * 200_000).encode()[: (4 << 20) + 200_000]
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FOUND = "query ($name: String!) { files(where: { nameContains: $name }) { nodes { id digest size } } }"
KILLS = {Fault.KILLED, Fault.KILLED_AFTER}
ATTEMPTS = 4
PATIENCE_SECONDS = 30
UNCOUNTED = 1 << 40
# Longer than a verification that is under way is waited for.
AGES = timedelta(minutes=10)
SETTINGS = {
    "SECRET_KEY": "a secret that outlives the process that signs with it",
    "CAIRN_LEASE_SECONDS": "1",
    "CAIRN_ACCESS_TOKEN_SECONDS": "86400",
    "CAIRN_MAXIMUM_OPEN_UPLOADS": "100000",
    "CAIRN_PART_BYTES": str(4 << 20),
}


@dataclass(frozen=True, slots=True)
class Strike:
    """What is to go wrong, and where: at the step of this number among those of these kinds."""

    fault: Fault = Fault.NONE
    number: int = UNCOUNTED
    kinds: Collection[str] = KINDS


@dataclass(frozen=True, slots=True)
class Struck:
    """What came of an upload: its steps, which of them it was struck at, and the file if it was acknowledged."""

    fault: Fault
    trace: list[str]
    at: int
    file_id: str | None

    @property
    def commits(self) -> int:
        """How many commits were done."""
        before, hit, after = self.trace[: self.at - 1], self.trace[self.at - 1 : self.at], self.trace[self.at :]
        done = before + (hit if self.fault in {Fault.UNANSWERED, Fault.KILLED_AFTER} else [])
        return (done + ([] if self.fault is Fault.FULL else after)).count("commit")


class Ground:
    """A running service, a plan that both know, and somebody who uploads."""

    def __init__(self, service: Live, plan: Plan, again: Path, database: Database) -> None:
        self._service = service
        self._plan = plan
        self._again = again
        self.database = database
        self.names = Counter[str]()
        self.ada: Account

    def client(self) -> AsyncClient:
        """Connections of their own for each attempt: those of a killed service are of no use."""
        return AsyncClient(base_url=self._service.url, timeout=PATIENCE_SECONDS, verify=False)

    def sender(self, kind: type[Sender]) -> Sender:
        """Somebody with a file of a name that nobody else has."""
        self.names[kind.__name__] += 1
        return kind(self.ada, f"{kind.__name__}-{self.names[kind.__name__]:04}-.txt", CONTENT)

    async def send(self, sender: Sender, strike: Strike) -> Struck:
        """Have a file sent while something goes wrong; what was killed is running again afterwards."""
        self._plan.arm(strike.fault, strike.number, strike.kinds)
        file_id = None
        try:
            async with self.client() as client:
                file_id = await sender.attempt(client)
        except (HTTPError, NotDone):
            pass
        at = self._plan.struck_at
        struck = Struck(strike.fault, self._plan.disarm(), at, file_id)
        if at and strike.fault in KILLS:
            await self.start_again()
        return struck

    async def start_again(self) -> None:
        """Have what was killed, or is now, run again."""
        for left in psutil.Process(self._service.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it was about to end by itself
                left.kill()
        self._again.touch()
        assert await asyncio.to_thread(wait_for, lambda: not self._again.exists(), PATIENCE_SECONDS)
        await until(self._is_up)

    async def steps_of(self, kind: type[Sender]) -> list[str]:
        """What a run does where nothing goes wrong; the shortest of several, since a sweep may come in between."""
        runs = [await self.send(self.sender(kind), Strike()) for _ in range(3)]
        assert all(run.file_id for run in runs)
        return min((run.trace for run in runs), key=lambda trace: (trace.count("commit"), len(trace)))

    async def prove(self, kind: type[Sender], strike: Strike, clean: list[str]) -> bool:
        """Strike one upload, and see that nothing is lost, nothing shown too early, and all can go on.

        Whether anything went wrong: a number may be beyond the last step.
        """
        sender = self.sender(kind)
        struck = await self.send(sender, strike)
        what = f"{kind.__name__}, {strike.fault.name} at {struck.trace[: struck.at]}"
        seen = await self.found(sender.name)
        if struck.file_id is not None:
            assert struck.file_id in seen, f"{what}: what was acknowledged is lost"
        elif struck.commits < clean.count("commit") - kind.commits_after:
            assert seen == [], f"{what}: what is not a file yet is shown"
        # Whoever only failed is there and has cleared up; a process that is gone has to be taken for dead first.
        at_once = strike.fault is Fault.BROKEN and not kind.is_verified_by_job
        file_id = struck.file_id or await self.gone_on_with(sender, what, at_once=at_once)
        assert file_id in await self.found(sender.name), what
        async with self.database.reading() as rows:
            assert await quotas.differences(rows) == [], what
        return struck.at > 0

    async def gone_on_with(self, sender: Sender, what: str, *, at_once: bool) -> str:
        """The file, once its sender has gone on, or begun anew; where that is not at once, some minutes later."""
        said: object = None
        for _ in range(ATTEMPTS):
            if not at_once:
                await self.let_time_pass()
            try:
                async with self.client() as client:
                    return await sender.attempt(client)
            except NotDone as refusal:
                said = refusal
        raise AssertionError(f"{what}: it cannot go on: {said!r}")

    async def found(self, name: str) -> list[str]:
        """The files of a name; each has the bytes that were sent."""
        async with self.client() as client:
            nodes = (await ask(client, FOUND, self.ada, name=name))["files"]["nodes"]
            for node in nodes:
                answer = await client.get(f"/files/{node['id']}/download", headers=self.ada.headers)
                assert answer.status_code == 200, answer.text
                assert answer.content == CONTENT, "other bytes than were sent"
                assert (node["digest"], node["size"]) == (DIGEST, len(CONTENT))
        return [node["id"] for node in nodes]

    async def let_time_pass(self) -> None:
        """Have what was begun seem so old that its process must have died, and jobs that failed be due again."""
        async with self.database.transaction() as tx:
            await age(tx)

    async def _is_up(self) -> bool:
        try:
            async with self.client() as client:
                return (await client.get("/health/ready")).status_code == 200
        except HTTPError:
            return False


async def age(tx: Transaction) -> None:
    """Have verifications and leases of jobs begin longer ago."""
    now = datetime.now(UTC)
    verifying = update(Upload).where(col(Upload.state) == UploadState.VERIFYING)
    await tx.execute(verifying.values(updated_at=now - AGES))
    await tx.execute(update(Job).where(col(Job.lease_until).is_not(None)).values(lease_until=now - AGES))
    await tx.execute(update(Job).values(run_at=now - AGES))


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something to become true."""
    for _ in range(PATIENCE_SECONDS * 50):
        if await reached():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


@asynccontextmanager
async def ground(folder: Path, database_url: str, environment: dict[str, str]) -> AsyncIterator[Ground]:
    """A service that can be struck; in the end it was started anew, and everything on its disk has a reason."""
    path, database = folder / "plan", Database(database_url)
    own = SETTINGS | environment | {"CAIRN_DATABASE_URL": database_url, "CAIRN_PORT": str(free_port())}
    plan = Plan(path)
    # A cold start: what is wrapped has to be so before the service takes hold of it.
    with serving(folder, own | {"FAULTS_PLAN": str(path)}, cold("tests.faults")) as service:
        made = Ground(service, plan, path.with_suffix(".again"), database)
        async with made.client() as client:
            made.ada = await sign_up(client)
        yield made
        await made.start_again()
        await assert_explained(service.data_folder, database)
        await expire_all(database)
        await assert_explained(service.data_folder, database)
        assert files_in(service.data_folder / "incoming") == []
    async with database.reading() as rows:
        assert await quotas.differences(rows) == []
    await database.close()


async def assert_explained(data_folder: Path, database: Database) -> None:
    """Wait until every file below the store's folders is there for a reason that a row tells, and no lease is left."""
    left: list[str] = []

    async def is_explained() -> bool:
        nonlocal left
        left = await unexplained(data_folder, database)
        return left == []

    try:
        await until(is_explained)
    except TimeoutError:
        raise AssertionError(f"nobody knows what these are for: {left}") from None


async def unexplained(data_folder: Path, database: Database) -> list[str]:
    """Files of the store that no row names, and keys that a row names where no bytes lie."""
    async with database.reading() as rows:
        live = await rows.all(select(col(Upload.blob_key), col(Upload.state)).where(col(Upload.state).in_(LIVE)))
        used = select(col(Version.blob_key)).join(Blob, col(Blob.key) == col(Version.blob_key))
        kept = {key for (key,) in await rows.all(used.where(col(Blob.deleted_at).is_(None)))}
    coming, there = {row.blob_key for row in live}, set(files_in(data_folder / "blobs"))
    return [
        *(f"leases/{key}" for key in files_in(data_folder / "leases")),
        *(f"incoming/{key}" for key in files_in(data_folder / "incoming") if key not in coming),
        *(f"blobs/{key}" for key in there - kept - coming),
        *(f"missing {key}" for key in kept - there),
    ]


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def expire_all(database: Database) -> None:
    """Have the time of every upload that has not ended be over."""
    async with database.transaction() as tx:
        await age(tx)
        growing = update(Upload).where(col(Upload.state).in_(GROWING))
        await tx.execute(growing.values(expires_at=datetime.now(UTC)))

    async def are_over() -> bool:
        async with database.reading() as rows:
            return not await rows.all(select(col(Upload.id)).where(col(Upload.state).in_(LIVE)))

    await until(are_over)
