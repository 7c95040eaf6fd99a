"""GraphQL over HTTP, as the audit suite of graphql-http judges a server."""

import json
from pathlib import Path

import anyio

from tests.live import Live
from tests.machine import absent, program

HERE = Path(__file__).parent
AUDITS = 61


async def test_all_audits_of_graphql_over_http_pass_without_a_warning(live: Live) -> None:
    node = program("node")
    if not (HERE / "node_modules").exists():
        absent("node", "tests/clients has no node_modules: run npm ci there")
    done = await anyio.run_process([node, HERE / "audit.mjs", f"{live.url}/graphql"], check=False)
    assert done.returncode == 0, done.stderr.decode()
    audits = json.loads(done.stdout)["audits"]
    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert len(audits) == AUDITS
