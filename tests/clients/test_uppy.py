"""Uppy in a real browser, on a page of another origin, whose service dies in the middle of an upload."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page, Request

from tests.clients.test_browser import sign_up
from tests.clients.test_uploads import HERE, download
from tests.live import serving
from tests.machine import absent, free_port, program

PAGE = '<!doctype html><meta charset="utf-8"><title>Uppy</title><script src="uppy.js"></script>'
SECRET = "a secret that outlives the process that signs with it"
LINE = "words, and more of them\n"
LINES = 350_000
SENT_BYTES_PER_SECOND = 4 * 1024**2
PATIENCE_SECONDS = 120


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing about it."""

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def page_origin(tmp_path: Path) -> Iterator[str]:
    """A page with Uppy in it, bundled as people bundle it, on a server that is not the service's."""
    program("node")
    bundler, folder = HERE / "node_modules" / ".bin" / "esbuild", tmp_path / "page"
    if not bundler.exists():
        absent("node", "tests/clients has no node_modules: run npm ci there")
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    options = ["--bundle", "--format=iife", "--log-level=error", f"--outfile={folder / 'uppy.js'}"]
    subprocess.run([bundler, HERE / "uppy.js", *options], check=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
async def page(browser: Browser, page_origin: str) -> AsyncIterator[Page]:
    """The page in a browser whose uplink is slow enough to be cut."""
    opened = await browser.new_page()
    slow = await opened.context.new_cdp_session(opened)
    terms = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": SENT_BYTES_PER_SECOND}
    await slow.send("Network.emulateNetworkConditions", terms)
    await opened.goto(page_origin)
    yield opened
    await opened.context.close()


@pytest.mark.slow
async def test_uppy_goes_on_where_a_killed_service_left_it(page: Page, page_origin: str, tmp_path: Path) -> None:
    environment = {"CAIRN_PORT": str(free_port()), "CAIRN_CORS_ORIGINS": page_origin, "SECRET_KEY": SECRET}
    pieces: list[int] = []
    page.on("request", lambda request: pieces.extend(offset_of(request)))
    with serving(tmp_path, environment) as service:
        token = await sign_up(service, "uppy")
        given = [f"{service.url}/uploads", token, LINE, LINES]
        script = "([endpoint, token, line, times]) => send(endpoint, token, 'table.csv', line.repeat(times))"
        sending = asyncio.create_task(page.evaluate(script, given))
        await page.wait_for_function(f"progress > {len(LINE) * LINES // 3}", timeout=PATIENCE_SECONDS * 1000)
        assert not sending.done()
        service.kill()
        before = len(pieces)
    with serving(tmp_path, environment) as service:
        told = await asyncio.wait_for(sending, PATIENCE_SECONDS)
        assert told["failed"] == []
        assert pieces[before] > 0, "it began anew"
        assert pieces == sorted(pieces)
        [file_id] = [await file_of(service.url, token, url) for url in told["urls"]]
        assert await download(service, token, file_id) == (LINE * LINES).encode()


def offset_of(request: Request) -> list[int]:
    return [int(request.headers["upload-offset"])] if request.method == "PATCH" else []


async def file_of(service_url: str, token: str, upload_url: str) -> str:
    """The file that an upload became."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        query = "query ($id: ID!) { uploadSession(id: $id) { state file { id } } }"
        body = {"query": query, "variables": {"id": upload_url.rpartition("/")[2]}}
        async with session.post(f"{service_url}/graphql", json=body) as answer:
            found = (await answer.json())["data"]["uploadSession"]
    assert found["state"] == "COMMITTED"
    file_id: str = found["file"]["id"]
    return file_id
