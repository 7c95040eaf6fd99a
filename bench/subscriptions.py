"""Promise (d): a thousand subscriptions, beside Strawberry's stock view: what each weighs, how soon all are told."""

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

import asyncpg
from sqlalchemy.engine.url import make_url

from bench.effort import KIB, Effort
from bench.footprint import processes_of, resident_bytes
from bench.records import Place
from bench.servers import House, Server, cairn, stock_broadcast
from db.postgres_carrier import CHANNEL
from domain.topics import of_files
from schema.ids import Prefix, encode
from tests.api.frames import RawSocket, dialled, handshake, init, subscribe

LIMIT = 40 * KIB
CONNECTIONS = 10
WARM = 20
FEWEST_FILES = 4096
MESSAGE = b'"fileId"'

Tell = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Subscribers to one server: how they come, what each weighs in bytes, and delays of an event in seconds."""

    way: str
    name: str
    weight: float
    first: float
    median: float
    last: float


@dataclass(slots=True)
class Crowds:
    """The result."""

    count: int
    found: list[Crowd] = field(default_factory=list)

    def table(self) -> str:
        """As Markdown; a ratio is how many times as much the other takes."""
        lines = [
            f"| {self.count:,} subscriptions | Server | Each weighs | Limit | Told first | Median | Last |",
            "|---|---|---:|---|---:|---:|---:|",
        ]
        for each in self.found:
            verdict = f"≤ {LIMIT // KIB} KiB {'✓' if each.weight <= LIMIT else '✗'}" if each.name == "cairn" else ""
            delays = " | ".join(f"{span * 1000:.0f} ms" for span in (each.first, each.median, each.last))
            lines.append(f"| {each.way} | {each.name} | {each.weight / KIB:.1f} KiB | {verdict} | {delays} |")
        lines += ["", "| Stock view ÷ Cairn | Weight | Told first | Median | Last |", "|---|---:|---:|---:|---:|"]
        for own in self.found:
            for other in self.found:
                if own.way == other.way and (own.name, other.name) == ("cairn", "stock view"):
                    lines.append(f"| {own.way} | {_ratios(own, other)} |")
        return "\n".join(lines)


def _ratios(own: Crowd, other: Crowd) -> str:
    pairs = ((own.weight, other.weight), (own.first, other.first), (own.median, other.median), (own.last, other.last))
    return " | ".join(f"{theirs / mine:.2f}" for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Audience:
    """A server, how it is asked to tell of something, and what is subscribed to."""

    name: str
    server: Server
    query: str
    tell: Tell


async def measure_subscriptions(house: House, effort: Effort) -> Crowds:
    """Few WebSockets with many subscriptions, many with one each, and event streams."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = min(effort.subscriptions, max(WARM, (most - FEWEST_FILES) // 2))
    crowds = Crowds(count)
    for way, connections, begin in (
        (f"on {CONNECTIONS} WebSockets", CONNECTIONS, _by_socket),
        ("on a WebSocket each", count, _by_socket),
        ("as an event stream each", count, _by_stream),
    ):
        for open_audience in (_cairn, _stock):
            async with open_audience(house) as audience:
                await _crowd(audience, begin, WARM, WARM, rounds=2)
                found = await _crowd(audience, begin, count, connections, effort.rounds)
                crowd = Crowd(way, audience.name, *found)
                crowds.found.append(crowd)
                print(f"{count} subscriptions {way}, {crowd}", flush=True)
    return crowds


async def _crowd(
    audience: Audience,
    begin: Callable[[RawSocket, Audience, int], Awaitable[None]],
    count: int,
    connections: int,
    rounds: int,
) -> tuple[float, float, float, float]:
    pids = processes_of(audience.server.pid)
    before = resident_bytes(pids)
    async with AsyncExitStack() as kept:
        raws = []
        for _ in range(connections):
            raw = await kept.enter_async_context(dialled(audience.server.port))
            await begin(raw, audience, count // connections)
            raws.append(raw)
        await asyncio.sleep(2)
        weight = (resident_bytes(pids) - before) / count
        delays = [await _told(audience, raws, count // connections) for _ in range(rounds)]
    spans = (median(each[index] for each in delays) for index in (0, len(delays[0]) // 2, -1))
    first, middle, last = spans
    return weight, first, middle, last


async def _told(audience: Audience, raws: list[RawSocket], each: int) -> list[float]:
    spans: list[float] = []
    began_at = 0.0

    async def hear(raw: RawSocket) -> None:
        seen = 0
        while seen < each:
            # An answer is small and names the file once: counting names is cheaper than parsing a thousand answers.
            found = (await raw.reader.read(65536)).count(MESSAGE)
            spans.extend([time.perf_counter() - began_at] * found)
            seen += found

    hearing = [asyncio.create_task(hear(raw)) for raw in raws]
    await asyncio.sleep(0.2)
    began_at = time.perf_counter()
    await audience.tell()
    async with asyncio.timeout(30):
        await asyncio.gather(*hearing)
    return sorted(spans)


async def _by_socket(raw: RawSocket, audience: Audience, each: int) -> None:
    await raw.send(handshake())
    if await raw.status() != 101:
        raise RuntimeError("no WebSocket")
    await raw.send(init(audience.server.token))
    await raw.message()
    await raw.send(b"".join(subscribe(str(number), audience.query) for number in range(each)))


async def _by_stream(raw: RawSocket, audience: Audience, each: int) -> None:
    if each != 1:
        raise ValueError("an event stream has one subscription")
    body = json.dumps({"query": audience.query}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {audience.server.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    await raw.send(head.encode() + body)
    if await raw.status() != 200:
        raise RuntimeError("no event stream")


@asynccontextmanager
async def _cairn(house: House) -> AsyncIterator[Audience]:
    place = await house.make_place(f"subscriptions{time.monotonic_ns()}")
    many = "1000000"
    limits = {"CAIRN_MAXIMUM_STREAMS": many, "CAIRN_MAXIMUM_SUBSCRIPTIONS": many}
    shared = encode(Prefix.WORKSPACE, place.shared_id)
    query = f'subscription {{ fileChanged(workspaceId: "{shared}") {{ kind fileId happenedAt }} }}'
    async with cairn(house, place, limits) as server:
        url = make_url(place.url).set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(url)
        try:
            yield Audience("cairn", server, query, _notifier(connection, place))
        finally:
            await connection.close()


def _notifier(connection: asyncpg.Connection, place: Place) -> Tell:
    async def tell() -> None:
        # As another process tells of what it has committed.
        body = {"kind": "file.uploaded", "file": place.viewer_id.hex, "actor": None}
        news = [of_files(place.shared_id), {**body, "at": datetime.now(UTC).isoformat()}]
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, json.dumps(["another process", news]))

    return tell


@asynccontextmanager
async def _stock(house: House) -> AsyncIterator[Audience]:
    async with stock_broadcast(house) as server:

        async def tell() -> None:
            async with dialled(server.port) as raw:
                await raw.send(b"POST /tell HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n")
                await raw.status()

        yield Audience("stock view", server, "subscription { fileChanged { kind fileId happenedAt } }", tell)
