"""Promise (g): what several processes on one port bring, beside one of them and as many of the stock view."""

import json
from contextlib import AsyncExitStack
from dataclasses import replace

from bench import requests
from bench.effort import KIB, Effort
from bench.load import Load, bring
from bench.race import Contender, race
from bench.results import Figures, Targets
from bench.servers import House, Server, cairn, settle, stock

COUNT = 2
AT_ONCE = 16
NAME = "report.txt"
BESIDE = Targets({"one process": None, "stock": None, f"stock, {COUNT} processes": None})


async def measure_processes(house: House, effort: Effort) -> Figures:
    """Small uploads, small downloads and lists, of all of them."""
    figures = Figures()
    async with AsyncExitStack() as opened:
        places = [await house.make_place(f"processes_{number}") for number in range(4)]
        several = {"CAIRN_PROCESSES": str(COUNT)}
        own = {
            "cairn": await opened.enter_async_context(cairn(house, places[0], several)),
            "one process": await opened.enter_async_context(cairn(house, places[1])),
        }
        others = {
            "stock": await opened.enter_async_context(stock(house, places[2])),
            f"stock, {COUNT} processes": await opened.enter_async_context(stock(house, places[3], COUNT)),
        }
        (others["stock"].folder / NAME).write_bytes(b"x" * effort.small)
        servers = {
            name: await server.warmed_by(replace(requests.upload(server, effort.small), each=3))
            for name, server in (own | others).items()
        }
        paths = {name: await _path(server, effort.small) for name, server in own.items()}
        paths |= dict.fromkeys(others, f"/plain/{NAME}")
        small = f"{effort.small // KIB} KiB"
        loads = {
            f"downloads of {small}": {name: requests.download(servers[name], path) for name, path in paths.items()},
            "list of 50 files with uploaders": {name: requests.listing(server) for name, server in servers.items()},
            f"uploads of {small}": {name: requests.upload(server, effort.small) for name, server in servers.items()},
        }
        await settle()
        for what, each in loads.items():
            contenders = [Contender(name, servers[name], _repeated(load, effort)) for name, load in each.items()]
            figures.add(what, AT_ONCE, await race(f"{what}, {AT_ONCE} at once", contenders, effort.rounds), BESIDE)
    return figures


def _repeated(load: Load, effort: Effort) -> Load:
    return replace(load, connections=AT_ONCE, seconds=effort.seconds, warm_seconds=effort.warm_seconds)


async def _path(server: Server, size: int) -> str:
    outcome = await bring(replace(requests.upload(server, size), each=1))
    found: str = json.loads(outcome.first_answer)["data"]["uploadFile"]["file"]["id"]
    return f"/files/{found}/download"
