"""A service whose streams are attacked: who is there, its limits, and what must not be found in its log afterwards."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from httpx2 import AsyncClient

from tests.api.hostile_messages import SECRET
from tests.asking import Account, create_key, personal_workspace, sign_up
from tests.live import Live, serving
from tests.machine import PATIENCE_SECONDS

MAXIMUM_SUBSCRIPTIONS = 20
MAXIMUM_STREAMS = 10
STALL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class People:
    """A service, and who asks it."""

    live: Live
    ada: Account
    eve: Account
    key: Account
    ada_place: str

    @property
    def port(self) -> int:
        return self.live.port


@contextmanager
def besieged(folder: Path) -> Iterator[People]:
    environment = {
        "CAIRN_MAXIMUM_SUBSCRIPTIONS": str(MAXIMUM_SUBSCRIPTIONS),
        "CAIRN_MAXIMUM_STREAMS": str(MAXIMUM_STREAMS),
        "CAIRN_STALL_SECONDS": str(STALL_SECONDS),
        "CAIRN_LOG_LEVEL": "debug",
    }
    with serving(folder, environment) as live:
        yield asyncio.run(_people(live))


async def _people(live: Live) -> People:
    async with AsyncClient(base_url=live.url, timeout=PATIENCE_SECONDS) as client:
        ada, eve = await sign_up(client), await sign_up(client, "eve")
        key = await create_key(client, ada, "files:read")
        return People(live, ada, eve, key, await personal_workspace(client, ada))


async def survives(people: People, *secrets: str) -> None:
    """The service is well, has met no fault, and its log has no secret in it."""
    async with AsyncClient(base_url=people.live.url, timeout=PATIENCE_SECONDS) as client:
        assert (await client.get("/health/ready")).status_code == 200
    said = people.live.log.read_text()
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert len(lines) == len(said.splitlines())  # a traceback of the interpreter's would be no JSON
    assert [line for line in lines if line["level"] in {"error", "critical"} or "exception" in line] == []
    known = {people.ada.token, people.eve.token, people.key.token, SECRET, *secrets}
    assert [secret for secret in known if secret in said] == []
