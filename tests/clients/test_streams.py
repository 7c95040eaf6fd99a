"""The clients that people subscribe with, each as its documentation shows it."""

from typing import Any

from tests.clients.test_uploads import run_node
from tests.live import Live


def assert_told(told: dict[str, Any], username: str) -> None:
    """The client has heard of files, followed an upload to its end, and had an answer beside that."""
    assert told["viewer"]["username"] == username
    uploaded = [change for change in told["changes"] if change["file"]["name"] == "watched.txt"]
    assert [change["kind"] for change in uploaded] == ["FILE_UPLOADED"]
    assert uploaded[0]["actor"]["username"] == username
    progress, half = told["progress"], told["half"]
    received = [step["receivedBytes"] for step in progress]
    assert received == sorted(received)
    first = progress[0]
    assert (first["state"], first["receivedBytes"], first["size"], first["file"]) == ("OPEN", 0, 2 * half, None)
    assert ("RECEIVING", half) in [(step["state"], step["receivedBytes"]) for step in progress]
    last = progress[-1]
    assert (last["state"], last["receivedBytes"]) == ("COMMITTED", 2 * half)
    assert last["file"]["name"] == "watched.txt"


def assert_own_upload_told(told: dict[str, Any]) -> None:
    """The client has watched what it sent, from before it began."""
    assert told["own"][0] is None
    assert (told["own"][-1]["state"], told["own"][-1]["receivedBytes"]) == ("COMMITTED", told["sent"])


async def test_graphql_ws_subscribes_and_asks_by_one_lazy_socket(served: Live) -> None:
    told = await run_node("graphql-ws.mjs", f"{served.url}/graphql", "graphql-ws")
    assert_told(told, "graphql-ws")
    assert told["before"] == []
    assert told["seen"] == ["connected", 1000]
    assert told["pongs"] > 0


async def test_graphql_sse_subscribes_asks_and_aborts(served: Live) -> None:
    told = await run_node("graphql-sse.mjs", f"{served.url}/graphql", "graphql-sse")
    assert_told(told, "graphql-sse")
    assert told["aborted"] > 50, "more than one may have at a time: what was aborted still counts"


async def test_urql_subscribes_by_graphql_ws(served: Live) -> None:
    told = await run_node("urql-streams.mjs", f"{served.url}/graphql", "urql-ws", "ws")
    assert_told(told, "urql-ws")
    assert told["types"] == ["application/graphql-response+json"] * 2
    assert_own_upload_told(told)


async def test_urql_subscribes_by_fetch_while_its_queries_have_one_answer(served: Live) -> None:
    told = await run_node("urql-streams.mjs", f"{served.url}/graphql", "urql-sse", "sse")
    assert_told(told, "urql-sse")
    queries, streams = ["application/graphql-response+json"], ["text/event-stream"]
    assert told["types"] == [*streams * 2, *queries, *streams, *queries]
    assert_own_upload_told(told)


async def test_apollo_client_subscribes_by_a_link_beside_its_http_link(served: Live) -> None:
    assert_told(await run_node("apollo-streams.mjs", f"{served.url}/graphql", "apollo-streams"), "apollo-streams")
