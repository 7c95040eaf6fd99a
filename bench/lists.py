"""Promise (c): 50 files with 10 fields and their uploaders, beside Strawberry's stock schema on the same rows."""

import json
from contextlib import AsyncExitStack
from dataclasses import replace

from bench import requests
from bench.effort import Effort
from bench.load import Load, bring
from bench.race import Contender, race
from bench.results import Figures, Targets
from bench.servers import House, Server, cairn, stock

AT_ONCE = (1, 16)
TARGETS = Targets({"stock schema": 2.0})


async def measure_lists(house: House, effort: Effort) -> Figures:
    """The list, for one client and for many."""
    figures = Figures()
    async with AsyncExitStack() as opened:
        own = await opened.enter_async_context(cairn(house, await house.make_place("lists")))
        other = await opened.enter_async_context(stock(house, await house.make_place("lists_stock")))
        if await _names(own) != await _names(other):
            raise RuntimeError("the two list different files")
        servers = {
            name: await server.warmed_by(replace(requests.listing(server), each=3))
            for name, server in (("cairn", own), ("stock schema", other))
        }
        what = f"list of {requests.LISTED} files with uploaders"
        for at_once in AT_ONCE:
            contenders = [
                Contender(name, server, _repeated(requests.listing(server), at_once, effort))
                for name, server in servers.items()
            ]
            standings = await race(f"{what}, {at_once} at once", contenders, effort.rounds)
            figures.add(what, at_once, standings, TARGETS)
    return figures


def _repeated(load: Load, at_once: int, effort: Effort) -> Load:
    return replace(load, connections=at_once, seconds=effort.seconds, warm_seconds=effort.warm_seconds)


async def _names(server: Server) -> list[tuple[str, str]]:
    outcome = await bring(replace(requests.listing(server), each=1))
    edges = json.loads(outcome.first_answer)["data"]["files"]["edges"]
    return [(edge["node"]["name"], edge["node"]["uploadedBy"]["username"]) for edge in edges]
