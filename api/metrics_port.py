"""The port of their own that metrics may have: beside the service, and beside a worker, which has no other."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from api.parts import Parts
from api.scrapes import Scrapes
from api.server import bind, listening
from api.settings import Settings
from api.variables import SettingsError, variable_of


@asynccontextmanager
async def metrics_port(settings: Settings, parts: Parts) -> AsyncIterator[None]:
    """Serve metrics on their port until the block ends, if they have one. Raises SettingsError."""
    if settings.metrics_port is None:
        yield
        return
    with ExitStack() as closing:
        try:
            sockets = bind(settings.metrics_host, settings.metrics_port)
        except OSError as fault:
            problem = f"{variable_of('metrics_port')}: cannot listen on it: {fault.strerror}"
            raise SettingsError([problem]) from fault
        for own in sockets:
            closing.enter_context(own)
        async with listening(Scrapes.of(settings, parts).alone(), sockets, settings.stall_seconds):
            yield
