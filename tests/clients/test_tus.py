"""The clients of tus that people use, each as its documentation shows it."""

import asyncio
from pathlib import Path

import aiohttp
from tusclient.client import TusClient

from tests.asking import SIGNUP
from tests.clients.test_uploads import PASSWORD, assert_kept, download, run_node
from tests.live import Live


def table(folder: Path) -> Path:
    """A file of several chunks."""
    path = folder / "large.csv"
    path.write_text("".join(f"{row},{row * row},a line of a table\n" for row in range(80_000)))
    return path


async def test_tus_js_client_goes_on_where_it_was_cut_off_and_sends_in_parallel(served: Live, tmp_path: Path) -> None:
    path = table(tmp_path)
    told = await run_node("tus.mjs", f"{served.url}/graphql", "tusjs", path)
    sent = {path.name: path, f"together-{path.name}": path}
    await assert_kept(served, told["token"], told["files"], sent)


async def test_tuspy_goes_on_where_it_was_cut_off(served: Live, tmp_path: Path) -> None:
    path = table(tmp_path)
    given = {"username": "tuspy", "email": "tuspy@example.org", "password": PASSWORD}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{served.url}/graphql", json={"query": SIGNUP, "variables": {"input": given}}) as answer,
    ):
        token = (await answer.json())["data"]["signup"]["accessToken"]
    file_id = await asyncio.to_thread(send, served, token, path)
    assert await download(served, token, file_id) == path.read_bytes()


def send(served: Live, token: str, path: Path) -> str:
    client = TusClient(f"{served.url}/uploads", headers={"Authorization": f"Bearer {token}"})
    half = path.stat().st_size // 2
    with path.open("rb") as file:
        first = client.uploader(file_stream=file, chunk_size=200_000, metadata={"filename": path.name})
        first.upload(stop_at=half)
    with path.open("rb") as file:
        again = client.uploader(file_stream=file, chunk_size=200_000, url=first.url)
        assert half <= again.offset < path.stat().st_size
        again.upload()
    file_id: str = again.request.response_headers["cairn-file"]  # type: ignore[attr-defined]
    return file_id
