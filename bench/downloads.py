"""Promise (b): bytes out, beside Starlette's FileResponse and nginx."""

import json
from contextlib import AsyncExitStack
from dataclasses import replace

from bench import requests
from bench.client import FILLING
from bench.effort import KIB, MIB, Effort
from bench.load import Load, bring
from bench.race import Contender, race
from bench.results import Figures, Targets
from bench.servers import House, Server, cairn, nginx, settle, stock

AT_ONCE = 16
LARGE = Targets({"FileResponse": 4.0, "FileResponse with rights": None, "nginx": 0.85}, in_mib=True)
SMALL = Targets({"FileResponse": 4.0, "FileResponse with rights": None, "nginx": None})


async def measure_downloads(house: House, effort: Effort) -> Figures:
    """All downloads. FileResponse comes alone and, for what it is worth, after the same questions of rights."""
    figures = Figures()
    async with AsyncExitStack() as servers:
        own = await servers.enter_async_context(cairn(house, await house.make_place("downloads")))
        other = await servers.enter_async_context(stock(house, await house.make_place("downloads_stock")))
        plain = await servers.enter_async_context(nginx(house, other.folder))
        for size, name in ((effort.small, "report 001.txt"), (effort.large, "report 002.txt")):
            _write(other, name, size)
            path = name.replace(" ", "%20")
            loads = {
                "cairn": (own, f"/files/{await _uploaded(own, size)}/download"),
                "FileResponse": (other, f"/plain/{path}"),
                "FileResponse with rights": (other, f"/guarded/{path}"),
                "nginx": (plain, f"/{path}"),
            }
            contenders = [
                Contender(name, *await _warmed(server, requests.download(server, path)))
                for name, (server, path) in loads.items()
            ]
            await settle()
            for at_once in (1, AT_ONCE) if size == effort.small else (1,):
                await _compare(figures, contenders, size, at_once, effort)
    return figures


async def _warmed(server: Server, load: Load) -> tuple[Server, Load]:
    return await server.warmed_by(replace(load, each=1)), load


async def _compare(figures: Figures, contenders: list[Contender], size: int, at_once: int, effort: Effort) -> None:
    is_large = size == effort.large
    what = f"download of {size // MIB:,} MiB" if is_large else f"downloads of {size // KIB} KiB"
    loaded = [replace(one, load=_repeated(one.load, size, at_once, effort)) for one in contenders]
    standings = await race(f"{what}, {at_once} at once", loaded, effort.rounds)
    figures.add(what, at_once, standings, LARGE if is_large else SMALL)


def _repeated(load: Load, size: int, at_once: int, effort: Effort) -> Load:
    if size == effort.large:
        return replace(load, each=3)
    return replace(load, connections=at_once, seconds=effort.seconds, warm_seconds=effort.warm_seconds)


async def _uploaded(server: Server, size: int) -> str:
    outcome = await bring(replace(requests.upload(server, size), each=1))
    found: str = json.loads(outcome.first_answer)["data"]["uploadFile"]["file"]["id"]
    return found


def _write(server: Server, name: str, size: int) -> None:
    with (server.folder / name).open("wb") as file:
        while size > 0:
            size -= file.write(FILLING[:size])
