"""`python -m bench [PROMISE ...] [--quick] [--write]`: measure promises, or some of them, and print the figures."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bench.counting import measure_counting
from bench.downloads import measure_downloads
from bench.effort import FULL, QUICK, Effort
from bench.lists import measure_lists
from bench.processes import measure_processes
from bench.results import Table, machine, write
from bench.servers import House, open_house
from bench.subscriptions import measure_subscriptions
from bench.transports import measure_transports
from bench.uploads import measure_uploads

PROMISES: dict[str, Callable[[House, Effort], Awaitable[Table]]] = {
    "uploads": measure_uploads,
    "downloads": measure_downloads,
    "lists": measure_lists,
    "subscriptions": measure_subscriptions,
    "transports": measure_transports,
    "counting": measure_counting,
    "processes": measure_processes,
}


def main() -> None:
    """Measure what the arguments name, everything by default."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the service beside others.")
    parser.add_argument("promises", nargs="*", help=f"which of {', '.join(PROMISES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: shows that it works")
    parser.add_argument("--rounds", type=int, help="turns that each contender takes")
    parser.add_argument("--write", action="store_true", help="put the tables into bench/README.md")
    given = parser.parse_args()
    unknown = sorted(set(given.promises) - PROMISES.keys())
    if unknown:
        parser.error(f"no such promise: {', '.join(unknown)}")
    effort = QUICK if given.quick else FULL
    if given.rounds:
        effort = replace(effort, rounds=given.rounds)
    tables = asyncio.run(_measure(given.promises or list(PROMISES), effort))
    if given.write:
        write(tables)


async def _measure(names: list[str], effort: Effort) -> dict[str, str]:
    tables: dict[str, str] = {}
    with open_house() as house:
        for name in names:
            figures = await PROMISES[name](house, effort)
            tables[name] = f"{machine()}\n\n{figures.table()}"
            print(f"\n{name}: {tables[name]}\n", flush=True)
    return tables


if __name__ == "__main__":
    main()
