"""Promise (f): what counting costs the commits of small uploads, folding included, on either database.

A turn is longer than the pause between folds, and after it comes such a pause, so that everybody folds in the own turn.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from api.folding import FOLD_SECONDS
from bench import requests
from bench.effort import KIB, MIB, Effort
from bench.race import Contender, Standing, race
from bench.records import Place
from bench.results import Figures, Targets
from bench.servers import House, cairn

AT_ONCE = 16
COUNTING = Targets({"without counting": 0.85}, 64 * MIB)
SERVICES = {"cairn": "api", "without counting": "bench.uncounted"}


async def measure_counting(house: House, effort: Effort) -> Figures:
    """All of it."""
    figures = Figures()
    for database, make_place in (("PostgreSQL", house.make_place), ("SQLite", house.make_embedded_place)):
        what = f"uploads of {effort.small // KIB} KiB on {database}"
        places = [await make_place(f"{database}_{program}".lower()) for program in SERVICES.values()]
        figures.add(what, AT_ONCE, await _measure(house, effort, what, places), COUNTING)
    return figures


async def _measure(house: House, effort: Effort, what: str, places: list[Place]) -> dict[str, Standing]:
    async with AsyncExitStack() as opened:
        contenders = []
        for (name, program), place in zip(SERVICES.items(), places, strict=True):
            started = await opened.enter_async_context(cairn(house, place, program=program))
            load = requests.upload(started, effort.small)
            server = await started.warmed_by(replace(load, each=3))
            seconds = FOLD_SECONDS + effort.seconds
            load = replace(load, connections=AT_ONCE, seconds=seconds, warm_seconds=effort.warm_seconds)
            contenders.append(Contender(name, server, load, partial(asyncio.sleep, FOLD_SECONDS)))
        return await race(what, contenders, effort.rounds)
