"""A way to a server that can be cut: what is under way is lost, and whoever knocks is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy.engine.url import URL, make_url

PIECE_BYTES = 1 << 16


class Relay:
    """Hands on what is said between clients at `url` and the server behind it, in the test's own loop."""

    def __init__(self, server: URL) -> None:
        self._server = server
        self._writers: set[asyncio.StreamWriter] = set()
        self._pairs: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The server's URL by this way."""
        [listening] = self._listening.sockets
        return self._server.set(port=listening.getsockname()[1]).render_as_string(hide_password=False)

    async def open(self) -> None:
        """Begin to listen."""
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def cut(self) -> None:
        """Drop all connections, and take no more of them."""
        self._listening.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._pairs:
            await asyncio.wait(self._pairs)

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        pair = asyncio.current_task()
        assert pair is not None
        self._pairs.add(pair)
        self._writers.add(to_client)
        from_server, to_server = await asyncio.open_connection(self._server.host, self._server.port)
        self._writers.add(to_server)
        await asyncio.gather(_hand_on(from_client, to_server), _hand_on(from_server, to_client))
        self._writers -= {to_client, to_server}
        self._pairs.discard(pair)


async def _hand_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await source.read(PIECE_BYTES):
            target.write(piece)
    target.close()


@asynccontextmanager
async def relayed(url: str) -> AsyncIterator[Relay]:
    """A way to the server of this URL."""
    relay = Relay(make_url(url))
    await relay.open()
    try:
        yield relay
    finally:
        await relay.cut()
