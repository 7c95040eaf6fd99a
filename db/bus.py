"""News of what was committed, for whoever listens: in this process at once, in others by a carrier.

News are hints, told once at most and in no promised order: whoever hears some asks the records what is so.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

PARCEL_BYTES = 7_500
"""What PostgreSQL takes at once is just under 8,000 bytes."""

MAXIMUM_WAITING = 10_000
"""News that wait for a carrier; where it is too slow for more, the oldest are lost to other processes."""

Body = Mapping[str, Any]
Listener = Callable[[Body], None]
_log = logging.getLogger(__name__)


class News(NamedTuple):
    """What is told to those who listen to a topic. JSON, and small: ids and numbers."""

    topic: str
    body: Body


class Carrier(Protocol):
    """Takes parcels of news to the other processes, and brings theirs."""

    async def send(self, parcel: str) -> bool:
        """Whether the parcel is on its way. Never raises."""
        ...

    async def run(self, deliver: Callable[[str], None]) -> None:
        """Deliver what comes, also once a broken connection is mended, until it is cancelled."""
        ...


class Bus:
    """Who listens to what in this process. Of several carriers, each parcel goes by the first that takes it."""

    def __init__(self) -> None:
        self._own = uuid4().hex
        self._listeners: dict[str, list[Listener]] = {}
        self._carriers: Sequence[Carrier] = ()
        self._waiting: deque[str] = deque(maxlen=MAXIMUM_WAITING)
        self._sending: asyncio.Task[None] | None = None
        self._running: list[asyncio.Task[None]] = []

    def open(self, carriers: Sequence[Carrier]) -> None:
        """Tell other processes, too, and hear of theirs, until `close`."""
        self._carriers = carriers
        self._running = [asyncio.create_task(carrier.run(self._receive)) for carrier in carriers]

    async def close(self) -> None:
        """Let the carriers go; what still waits is lost to other processes."""
        tasks = [*self._running, *([self._sending] if self._sending else [])]
        self._carriers, self._running = (), []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def listen(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Have news of a topic told to a listener, which returns at once. Gives the function that ends it."""
        self._listeners.setdefault(topic, []).append(listener)

        def stop() -> None:
            self._listeners[topic].remove(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]

        return stop

    @property
    def topics(self) -> frozenset[str]:
        """What somebody listens to in this process."""
        return frozenset(self._listeners)

    def tell(self, news: Iterable[News]) -> None:
        """Have everybody told who listens, here before this returns."""
        for each in news:
            self._deliver(each)
            if self._carriers:
                self._waiting.append(json.dumps(each, separators=(",", ":")))
        if self._waiting and self._sending is None:
            # A context of its own: what goes wrong is not the fault of the request that was told of first.
            self._sending = asyncio.get_running_loop().create_task(self._send_all(), context=Context())

    def _deliver(self, news: News) -> None:
        for listener in tuple(self._listeners.get(news.topic, ())):
            listener(news.body)

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                parcel = self._parcel()
                for carrier in self._carriers:
                    if await carrier.send(parcel):
                        break
        finally:
            self._sending = None

    def _parcel(self) -> str:
        parts, size = [f'"{self._own}"'], 0
        while self._waiting and (not size or size + len(self._waiting[0]) < PARCEL_BYTES):
            parts.append(self._waiting.popleft())
            size += len(parts[-1]) + 1
        return f"[{','.join(parts)}]"

    def _receive(self, parcel: str) -> None:
        try:
            origin, *news = json.loads(parcel)
            told = [News(str(topic), dict(body)) for topic, body in news]
        except (ValueError, TypeError):
            _log.warning("News came that nobody can read.")
            return
        if origin != self._own:
            for each in told:
                self._deliver(each)
