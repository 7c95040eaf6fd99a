"""A load as plain data, and the process of its own that brings it to a server."""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
MIB = 1024**2
LOCATION = "/LOCATION"


@dataclass(frozen=True, slots=True)
class Load:
    """One request, sent over and over: `head`, then `fill` bytes of text, then `tail`.

    Goes on for `seconds` after `warm_seconds` that do not count, or until each connection has sent `each`. Where there
    are `heads`, each connection has one of them instead. `opening` is a request that goes before each: where its answer
    says `Location`, the path of that takes the place of LOCATION in the head.
    """

    port: int
    head: str = ""
    heads: tuple[str, ...] = ()
    opening: str = ""
    fill: int = 0
    tail: str = ""
    connections: int = 1
    each: int = 0
    seconds: float = 0
    warm_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a load. `all_requests` counts those of the warm-up too.

    `cpu` is the share of one processor that the client itself took.
    """

    requests: int
    all_requests: int
    seconds: float
    sent: int
    received: int
    median_ms: float
    slowest_ms: float
    cpu: float
    first_answer: str = field(repr=False)

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def mib_per_second(self) -> float:
        """Bytes of both directions in a second."""
        return (self.sent + self.received) / MIB / self.seconds


async def bring(load: Load) -> Outcome:
    """Bring a load to its server. Raises RuntimeError when an answer is not a success."""
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.client",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await client.communicate(json.dumps(asdict(load)).encode())
    if client.returncode:
        raise RuntimeError(complaint.decode())
    return Outcome(**json.loads(said))
