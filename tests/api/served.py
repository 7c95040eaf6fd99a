"""A bare ASGI application behind a real server, for what only a socket shows."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from api.heads import limited_heads
from tests.machine import wait_for

START_SECONDS = 10


@contextmanager
def served(app: ASGIApp, head_seconds: float = 10) -> Iterator[int]:
    """Serve in a thread, as `api.server` does in a process; the port on 127.0.0.1."""
    with socket.socket() as own, ThreadPoolExecutor(1) as file_threads:
        protocol = limited_heads(head_seconds, file_threads)
        config = uvicorn.Config(app, http=protocol, log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
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
