"""What is done between turns, outside the time measured: asking through the API, and removing what was sent."""

import asyncio
from typing import Any

from httpx2 import AsyncClient

from bench.effort import MIB
from bench.servers import Server, settle

LEFT_OVER = "query Large($size: ByteCount!) { files(first: 100, where: { sizeFrom: $size }) { nodes { id } } }"
PURGE = "mutation Purge($ids: [ID!]!) { purgeFiles(input: { ids: $ids }) { problems { message } } }"


async def purge(server: Server) -> None:
    """Remove the large files through the API."""
    async with client_of(server) as client:
        found = await ask(client, LEFT_OVER, {"size": MIB})
        await ask(client, PURGE, {"ids": [node["id"] for node in found["files"]["nodes"]]})
    await settle()


def client_of(server: Server) -> AsyncClient:
    """Asks the service in the name of its viewer."""
    address, headers = f"http://127.0.0.1:{server.port}", {"Authorization": f"Bearer {server.token}"}
    return AsyncClient(base_url=address, headers=headers, timeout=120)


async def ask(client: AsyncClient, query: str, variables: dict[str, Any]) -> Any:
    """The data of an answer. Raises RuntimeError when it has errors."""
    body = (await client.post("/graphql", json={"query": query, "variables": variables})).json()
    if "errors" in body:
        raise RuntimeError(body["errors"])
    return body["data"]


async def empty(server: Server) -> None:
    """Remove the large files from a reference's folder."""
    for path in server.folder.iterdir():
        await asyncio.to_thread(path.unlink)
    await settle()
