"""Promise (d): uploads of several requests beside @tus/server, parts beside one PUT, and what quotas cost."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from bench import requests
from bench.effort import KIB, MIB, Effort
from bench.load import Load
from bench.race import Contender, race
from bench.results import Figures, Targets
from bench.servers import House, Server, cairn, settle, tus
from bench.tidying import ask, client_of, empty, purge

PARTS = 4
PATIENCE_SECONDS = 60
SMALL_AT_ONCE = 16
MEMORY = 64 * MIB
AMPLE = str(1 << 40)
LIMITS = {"CAIRN_WORKSPACE_QUOTA_BYTES": AMPLE, "CAIRN_USER_QUOTA_BYTES": AMPLE}
NO_LIMITS = {"CAIRN_WORKSPACE_QUOTA_BYTES": "0", "CAIRN_USER_QUOTA_BYTES": "0"}
TUS = Targets({"@tus/server": 1.2}, MEMORY, in_mib=True)
IN_PARTS = Targets({"one PUT": None}, MEMORY, in_mib=True)
QUOTA = Targets({"without limits": 0.75, "without a ledger": 0.75}, MEMORY)
CREATE = """mutation Create($input: CreateUploadInput!) {
  createUpload(input: $input) { uploadSession { id url partCount } problems { message } }
}"""
URLS = (
    "query Urls($id: ID!, $numbers: [Int!]!) { uploadSession(id: $id) { uploadPartUrls(numbers: $numbers) { url } } }"
)
COMPLETE = "mutation Complete($id: ID!) { completeUpload(input: { id: $id }) { problems { message } } }"
STATE = "query State($id: ID!) { uploadSession(id: $id) { state } }"


async def measure_transports(house: House, effort: Effort) -> Figures:
    """All of it."""
    figures = Figures()
    await _measure_large(house, effort, figures)
    await _measure_quotas(house, effort, figures)
    return figures


async def _measure_large(house: House, effort: Effort, figures: Figures) -> None:
    async with AsyncExitStack() as opened:
        own = {"CAIRN_PART_BYTES": str(effort.large // PARTS)}
        started = await opened.enter_async_context(cairn(house, await house.make_place("transports"), own))
        peer = await opened.enter_async_context(tus(house))
        server = await started.warmed_by(replace(requests.tus(started, effort.small), each=3))
        peer = await peer.warmed_by(replace(requests.tus(peer, effort.small), each=3))
        await settle()
        what = f"upload of {effort.large // MIB:,} MiB by tus"
        contenders = [
            Contender("cairn", server, replace(requests.tus(server, effort.large), each=1), partial(purge, server)),
            Contender("@tus/server", peer, replace(requests.tus(peer, effort.large), each=1), partial(empty, peer)),
        ]
        figures.add(what, 1, await race(what, contenders, effort.rounds), TUS)
        what = f"upload of {effort.large // MIB:,} MiB in {PARTS} parts, until it is a file"
        contenders = [_signed("cairn", server, "PARTS", effort), _signed("one PUT", server, "SINGLE_PUT", effort)]
        figures.add(what, PARTS, await race(what, contenders, effort.rounds), IN_PARTS)


def _signed(name: str, server: Server, transport: str, effort: Effort) -> Contender:
    sending = _Sending(server, transport, effort.large)
    return Contender(name, server, sending.prepare, partial(purge, server), sending.conclude)


@dataclass(slots=True)
class _Sending:
    """An upload to signed URLs: announced before the time that is measured, completed inside it."""

    server: Server
    transport: str
    size: int
    upload_id: str = ""

    async def prepare(self) -> Load:
        told = {"name": "notes.txt", "size": self.size, "transport": self.transport}
        async with client_of(self.server) as client:
            made = (await ask(client, CREATE, {"input": told}))["createUpload"]["uploadSession"]
            self.upload_id = made["id"]
            if made["url"] is not None:
                return requests.signed_puts(self.server, [made["url"]], self.size)
            numbers = list(range(1, made["partCount"] + 1))
            found = await ask(client, URLS, {"id": self.upload_id, "numbers": numbers})
        urls = [each["url"] for each in found["uploadSession"]["uploadPartUrls"]]
        return requests.signed_puts(self.server, urls, self.size // len(urls))

    async def conclude(self) -> None:
        async with client_of(self.server) as client:
            await ask(client, COMPLETE, {"id": self.upload_id})
            for _ in range(PATIENCE_SECONDS * 200):
                if (await ask(client, STATE, {"id": self.upload_id}))["uploadSession"]["state"] == "COMMITTED":
                    return
                await asyncio.sleep(0.005)
        raise RuntimeError(f"{self.upload_id} does not become a file")


async def _measure_quotas(house: House, effort: Effort, figures: Figures) -> None:
    services: list[tuple[str, str, dict[str, str], str]] = [
        ("cairn", "with_limits", LIMITS, "api"),
        ("without limits", "without_limits", NO_LIMITS, "api"),
        ("without a ledger", "without_ledger", NO_LIMITS, "bench.unposted"),
    ]
    async with AsyncExitStack() as opened:
        contenders = []
        for name, database, own, program in services:
            service = cairn(house, await house.make_place(database), own, program)
            started = await opened.enter_async_context(service)
            load = requests.upload(started, effort.small)
            server = await started.warmed_by(replace(load, each=3))
            load = replace(load, connections=SMALL_AT_ONCE, seconds=effort.seconds, warm_seconds=effort.warm_seconds)
            contenders.append(Contender(name, server, load))
        what = f"uploads of {effort.small // KIB} KiB with quotas"
        figures.add(what, SMALL_AT_ONCE, await race(what, contenders, effort.rounds), QUOTA)
