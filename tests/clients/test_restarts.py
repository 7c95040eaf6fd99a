"""Clients of streams that outlive the service, or the token that they came with."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.test_uploads import node_command, run_node
from tests.live import Live, serving
from tests.machine import free_port

SERVICE_RESTART = 1012
"""In the registry of close codes that RFC 6455 opened."""


@pytest.mark.parametrize(
    ("transport", "end"),
    [
        pytest.param("ws", Live.stop, id="ws-stopped"),
        pytest.param("ws", Live.kill, id="ws-killed", marks=pytest.mark.slow),
        pytest.param("sse", Live.stop, id="sse-stopped", marks=pytest.mark.slow),
        pytest.param("sse", Live.kill, id="sse-killed"),
    ],
)
async def test_a_client_subscribes_anew_once_the_service_is_back(
    tmp_path: Path, transport: str, end: Callable[[Live], object]
) -> None:
    environment = {"CAIRN_PORT": str(free_port())}
    with serving(tmp_path, environment) as first:
        command = node_command("restarts.mjs", f"{first.url}/graphql", "patient", transport)
        client = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        assert client.stdout is not None
        assert await client.stdout.readline() == b'"subscribed"\n'
        await asyncio.to_thread(end, first)
    with serving(tmp_path, environment):
        told, complaints = await client.communicate()  # it loses patience by itself
    assert client.returncode == 0, complaints.decode()
    story = json.loads(told)
    assert {change["kind"] for change in story["heard"]} == {"FILE_UPLOADED"}
    if (transport, end) == ("ws", Live.stop):
        assert story["codes"][0] == SERVICE_RESTART


@pytest.mark.slow
async def test_a_client_whose_token_ends_goes_on_with_the_next(tmp_path: Path) -> None:
    with serving(tmp_path, {"CAIRN_ACCESS_TOKEN_SECONDS": "15"}) as service:
        told = await run_node("expiring.mjs", f"{service.url}/graphql", "refreshes")
    assert told == {"codes": [4403], "kinds": ["FILE_UPLOADED"]}
