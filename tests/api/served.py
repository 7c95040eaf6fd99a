"""A bare ASGI application behind a real server, for what only a socket shows."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from api.heads import limited_heads
from tests.machine import wait_for

START_SECONDS = 10


@contextmanager
def served(app: ASGIApp, head_seconds: float = 10) -> Iterator[int]:
    """Serve in a thread, as `api.server` does in a process; the port on 127.0.0.1."""
    config = uvicorn.Config(app, http=limited_heads(head_seconds), log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([own],), daemon=True)
        thread.start()
        try:
            assert wait_for(lambda: server.started, START_SECONDS)
            yield own.getsockname()[1]
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join()
