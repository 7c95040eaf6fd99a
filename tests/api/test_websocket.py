import asyncio
import json
from functools import partial
from typing import Any, cast
from uuid import uuid4

import pytest
from starlette.types import Message, Scope

from api.connections import CONNECTION
from api.credentials import UNKNOWN, Credential, Standing
from api.guards import Guard
from api.operations import Operations
from api.streams import Streams
from api.websocket import GraphQLSockets, SocketLimits
from db.bus import Bus, News
from db.models import UserRole
from domain import topics
from domain.errors import BadCredential
from domain.viewer import Viewer
from tests.machine import comes_true


class Line:
    """A connection that a test speaks through."""

    def __init__(self, *messages: object, identify: Any = None) -> None:
        self.sent: list[Message] = []
        self.faults: list[BaseException] = []
        self.is_stuck = False
        self.streams = Streams(1)
        self.bus = Bus()
        self._identify = identify or self._nobody
        self._coming: asyncio.Queue[Message] = asyncio.Queue()
        self._coming.put_nowait({"type": "websocket.connect"})
        for message in messages:
            self._coming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def leave(self) -> None:
        self._coming.put_nowait({"type": "websocket.disconnect", "code": 1001})

    async def talk(self, limits: SocketLimits) -> None:
        """Serve the connection to its end."""
        scope: Scope = {"type": "websocket", "subprotocols": ["graphql-transport-ws"], "headers": []}
        scope["extensions"] = {CONNECTION: {"abort": self.leave}}
        sockets = GraphQLSockets(
            cast("Operations", None),
            self._identify,
            partial(Guard, self.bus),
            self.streams,
            self.faults.append,
            limits,
        )
        async with asyncio.timeout(10):
            await sockets(scope, self._coming.get, self._send)

    async def _send(self, message: Message) -> None:
        if self.is_stuck:
            await asyncio.Event().wait()
        self.sent.append(message)

    async def _nobody(self, _credential: Credential | None, _scope: Scope) -> Standing:
        return UNKNOWN


INIT = {"type": "connection_init"}
LIMITS = SocketLimits(1, 0.05, 0.05)


async def test_who_does_not_begin_is_not_waited_for() -> None:
    line = Line()
    await line.talk(LIMITS)
    assert [message.get("code") for message in line.sent] == [None, 4408]


async def test_a_fault_of_the_service_is_told_as_one_and_reported() -> None:
    async def break_down(_credential: Credential | None, _scope: Scope) -> Standing:
        raise ZeroDivisionError

    line = Line(INIT, identify=break_down)
    await line.talk(LIMITS)
    assert line.sent[-1]["code"] == 4500
    assert [type(fault) for fault in line.faults] == [ZeroDivisionError]
    assert line.streams.count == 0


async def test_who_takes_nothing_is_dropped_without_a_fault() -> None:
    line = Line(INIT)
    line.is_stuck = True
    await line.talk(LIMITS)
    assert not line.sent
    assert not line.faults


async def test_one_too_many_is_told_so() -> None:
    line = Line(INIT)
    with line.streams.open(UNKNOWN.viewer, None):
        await line.talk(LIMITS)
    assert line.sent[-1]["code"] == 4429


@pytest.mark.parametrize("given", [{"authorization": "Bearer \u00e9"}, {"X-Api-Key": 1}, {"x-api-key": None}])
async def test_what_is_no_credential_is_no_absence_of_one(given: object) -> None:
    line = Line({**INIT, "payload": given})
    await line.talk(LIMITS)
    assert line.sent[-1]["code"] == 4403


async def test_a_credential_is_taken_by_any_spelling_of_its_name_and_ends_what_it_began() -> None:
    shown: list[Credential | None] = []
    ada = Viewer(uuid4(), UserRole.USER)

    async def look() -> Viewer:
        raise BadCredential(message="over")

    async def identify(credential: Credential | None, _scope: Scope) -> Standing:
        shown.append(credential)
        return Standing(ada, look)

    line = Line({**INIT, "payload": {"AUTHORIZATION": "Bearer abc", "client": "x"}}, identify=identify)
    talking = asyncio.create_task(line.talk(LIMITS))
    assert await comes_true(lambda: bool(line.bus.topics))
    line.bus.tell([News(topics.of_credentials(ada.user_id or uuid4()), {})])
    await talking
    assert shown == [Credential("abc", is_api_key=False)]
    assert (line.sent[-1]["code"], line.sent[-1]["reason"]) == (4403, "over")
    assert line.streams.count == 0
    assert not line.bus.topics
