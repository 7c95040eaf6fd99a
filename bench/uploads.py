"""Promise (a): bytes in, with digest, fsync and rows, beside Strawberry's stock view and a bare socket."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from bench import requests
from bench.effort import KIB, MIB, Effort
from bench.load import Load
from bench.race import Contender, Standing, race
from bench.results import Figures, Targets
from bench.servers import House, Server, bare, cairn, settle, stock
from bench.tidying import empty, purge

SMALL_AT_ONCE = (1, 16)
LARGE_AT_ONCE = 20
MEMORY = 64 * MIB
LARGE = Targets({"stock view": 2.2, "bare socket": 0.7}, MEMORY, in_mib=True)
SMALL = Targets({"stock view": 5.0, "bare socket": None}, MEMORY)
ALONE = Targets({}, MEMORY)


async def measure_uploads(house: House, effort: Effort) -> Figures:
    """All uploads."""
    async with AsyncExitStack() as opened:
        started = {
            "cairn": await opened.enter_async_context(cairn(house, await house.make_place("uploads"))),
            "stock view": await opened.enter_async_context(stock(house, await house.make_place("uploads_stock"))),
            "bare socket": await opened.enter_async_context(bare(house)),
        }
        servers = {
            # Many at once, so that the process beside the service that settles small blobs counts as idle, too.
            name: await server.warmed_by(replace(requests.upload(server, effort.small), connections=16, each=20))
            for name, server in started.items()
        }
        field = _Field(servers, effort, Figures())
        await field.large()
        await field.many_large()
        for at_once in SMALL_AT_ONCE:
            await field.small(at_once)
        return field.figures


@dataclass(frozen=True, slots=True)
class _Field:
    servers: dict[str, Server]
    effort: Effort
    figures: Figures

    async def large(self) -> None:
        what = f"upload of {self.effort.large // MIB:,} MiB"
        contenders = self._contenders(lambda server: replace(requests.upload(server, self.effort.large), each=1))
        await settle()
        self.figures.add(what, 1, await self._race(what, contenders), LARGE)

    async def many_large(self) -> None:
        """The service alone: what matters is its memory."""
        what, own = f"uploads of {self.effort.large // MIB:,} MiB", self.servers["cairn"]
        load = replace(requests.upload(own, self.effort.large), each=1, connections=LARGE_AT_ONCE)
        contender = Contender("cairn", own, load, partial(purge, own))
        self.figures.add(what, LARGE_AT_ONCE, await race(f"{what}, {LARGE_AT_ONCE} at once", [contender], 1), ALONE)

    async def small(self, at_once: int) -> None:
        effort, what = self.effort, f"uploads of {self.effort.small // KIB} KiB"

        def load(server: Server) -> Load:
            again = requests.upload(server, effort.small)
            return replace(again, connections=at_once, seconds=effort.seconds, warm_seconds=effort.warm_seconds)

        contenders = [replace(one, tidy=None) for one in self._contenders(load)]
        self.figures.add(what, at_once, await self._race(f"{what}, {at_once} at once", contenders), SMALL)

    async def _race(self, title: str, contenders: list[Contender]) -> dict[str, Standing]:
        return await race(title, contenders, self.effort.rounds)

    def _contenders(self, load: Callable[[Server], Load]) -> list[Contender]:
        def tidy(name: str, server: Server) -> Callable[[], Awaitable[None]]:
            return partial(purge if name == "cairn" else empty, server)

        return [Contender(name, server, load(server), tidy(name, server)) for name, server in self.servers.items()]
