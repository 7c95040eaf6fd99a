import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from api import server
from tests.machine import free_port

REQUEST = b"GET / HTTP/1.1\r\nHost: cairn.test\r\n\r\n"


class Toy:
    """An application whose requests end when `seconds` are over, and that remembers the order of ends."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ends: list[str] = []
        self.has_begun = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.ends.append("application")
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.has_begun.set()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(0.3)
            self.ends.append("cleaned")
            raise
        self.ends.append("request")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class Client(threading.Thread):
    """Begins a request, asks the process to stop, and sees what becomes of it and of a newcomer."""

    def __init__(self, toy: Toy, port: int, number: signal.Signals) -> None:
        super().__init__()
        self._toy, self._port, self._number = toy, port, number
        self.received = b""
        self.is_refused = False

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as peer:
            peer.sendall(REQUEST)
            self._toy.has_begun.wait(10)
            os.kill(os.getpid(), self._number)
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", self._port), timeout=10).close()
                except ConnectionRefusedError:
                    self.is_refused = True
                    break
                threading.Event().wait(0.01)
            while piece := peer.recv(65536):
                self.received += piece


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def serve(app: ASGIApp, sockets: Sequence[socket.socket], on_listening: Callable[[], None], seconds: int = 10) -> bool:
    return server.run(app, sockets, limits=server.ServerLimits(10, 1024, seconds), on_listening=on_listening)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_finish_and_new_connections_are_refused(number: signal.Signals) -> None:
    toy = Toy(1)
    sockets = server.bind("127.0.0.1", 0)
    client = Client(toy, sockets[0].getsockname()[1], number)
    assert serve(toy, sockets, client.start)
    client.join()
    assert client.is_refused
    assert client.received.startswith(b"HTTP/1.1 200 OK")
    assert client.received.endswith(b"ok")
    assert b"server:" not in client.received
    assert b"date: " in client.received
    assert toy.ends == ["request", "application"]


def test_what_takes_too_long_is_cancelled_and_cleans_up_before_the_application_ends() -> None:
    toy = Toy(60)
    sockets = server.bind("127.0.0.1", 0)
    client = Client(toy, sockets[0].getsockname()[1], signal.SIGTERM)
    assert serve(toy, sockets, client.start, seconds=1)
    client.join()
    assert toy.ends == ["cleaned", "application"]


def test_a_second_signal_ends_the_wait() -> None:
    toy = Toy(60)
    sockets = server.bind("127.0.0.1", 0)
    client = Client(toy, sockets[0].getsockname()[1], signal.SIGTERM)

    def start() -> None:
        client.start()
        threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    assert serve(toy, sockets, start)
    client.join()
    assert "request" not in toy.ends


def test_the_collector_leaves_alone_what_the_start_made() -> None:
    frozen: list[int] = []

    def stop() -> None:
        frozen.append(gc.get_freeze_count())
        os.kill(os.getpid(), signal.SIGTERM)

    assert serve(Toy(0), server.bind("127.0.0.1", 0), stop)
    assert frozen[0] > 1000


def test_an_application_that_does_not_start_is_told() -> None:
    async def broken(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": ""})

    sockets = server.bind("127.0.0.1", 0)
    assert not serve(broken, sockets, pytest.fail)
    for own in sockets:
        own.close()


def test_a_name_with_several_addresses_gets_one_port() -> None:
    sockets = server.bind("localhost", 0)
    assert len({own.getsockname()[1] for own in sockets}) == 1
    for own in sockets:
        own.close()


def test_every_address_of_a_family_can_be_bound() -> None:
    port = free_port()
    [own] = server.bind("0.0.0.0", port)
    assert own.getsockname() == ("0.0.0.0", port)
    own.close()


def test_a_port_in_use_is_refused_by_the_system() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        server.bind("127.0.0.1", other.getsockname()[1])


def test_an_address_of_another_machine_is_refused_by_the_system() -> None:
    with pytest.raises(OSError, match="assign"):
        server.bind("192.0.2.1", 0)
