"""A browser's own EventSource, on a page of another origin: it can send no header, and signs in with a ticket."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlencode

import pytest
from httpx2 import AsyncClient
from playwright.async_api import Browser, Page

from tests.asking import Account, ask, sign_up, uploaded
from tests.live import Live, serving
from tests.machine import PATIENCE_SECONDS

WATCH = "subscription { fileChanged { kind file { name } } }"
TICKET = "mutation { createStreamTicket { ticket problems { message } } }"
LOGOUT = "mutation { logout { problems { message } } }"

# The page asks for its ticket itself, as a page of another origin does.
OPEN = """async ([url, token, query]) => {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const body = JSON.stringify({ query: 'mutation { createStreamTicket { ticket } }' });
  const { data } = await (await fetch(url, { method: 'POST', headers, body })).json();
  listen(`${url}?${new URLSearchParams({ query, ticket: data.createStreamTicket.ticket })}`);
}"""
PAGE = b"""<!doctype html><title>A page of another origin</title><script>
  function listen(url) {
    window.told = [];
    window.isCompleted = false;
    window.source = new EventSource(url);
    source.addEventListener('next', ({ data }) => told.push(JSON.parse(data)));
    source.addEventListener('complete', () => { isCompleted = true; });
  }
</script>"""


class Pages(BaseHTTPRequestHandler):
    """Serves the page at any address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def another_origin() -> Iterator[str]:
    """An origin with the page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with another_origin() as origin:
        yield origin


@pytest.fixture(scope="module")
def service(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("service"), {"CAIRN_CORS_ORIGINS": origin}) as service:
        yield service


@pytest.fixture
async def client(service: Live) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=service.url, timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture
async def page(browser: Browser, origin: str) -> AsyncIterator[Page]:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(origin)
    yield page
    await context.close()


async def hear(page: Page, client: AsyncClient, account: Account) -> None:
    """Upload until the page hears of it: nothing says when a subscription has begun."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await page.evaluate("told.length"):
            assert await page.evaluate("source.readyState !== EventSource.CLOSED")
            await uploaded(client, account)
            await asyncio.sleep(0.2)


async def test_an_event_source_hears_until_its_session_ends_and_then_stops(
    page: Page, client: AsyncClient, service: Live
) -> None:
    account = await sign_up(client, "listens")
    await page.evaluate(OPEN, [f"{service.url}/graphql", account.token, WATCH])
    await hear(page, client, account)
    assert (await page.evaluate("told"))[0]["data"]["fileChanged"]["kind"] == "FILE_UPLOADED"
    await ask(client, LOGOUT, account)
    # The stream says why it ends; EventSource then tries again by itself, and its ticket was used.
    await page.wait_for_function("source.readyState === EventSource.CLOSED")
    told = await page.evaluate("told")
    assert told[-1]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await page.evaluate("isCompleted")


@pytest.mark.slow
async def test_a_used_ticket_opens_nothing(page: Page, client: AsyncClient, service: Live) -> None:
    account = await sign_up(client, "again")
    await page.evaluate(OPEN, [f"{service.url}/graphql", account.token, WATCH])
    await hear(page, client, account)
    await page.evaluate("first = source; listen(source.url)")
    await page.wait_for_function("source.readyState === EventSource.CLOSED")
    assert await page.evaluate("told.length") == 0
    assert await page.evaluate("first.readyState === EventSource.OPEN"), "the stream of the ticket goes on"


@pytest.mark.slow
async def test_a_page_of_a_strange_origin_hears_nothing(browser: Browser, client: AsyncClient, service: Live) -> None:
    account = await sign_up(client, "elsewhere")
    ticket = (await ask(client, TICKET, account))["createStreamTicket"]["ticket"]
    context = await browser.new_context()
    with another_origin() as strange:
        page = await context.new_page()
        await page.goto(strange)
        url = f"{service.url}/graphql?{urlencode({'query': WATCH, 'ticket': ticket})}"
        await page.evaluate("listen", url)
        await page.wait_for_function("source.readyState === EventSource.CLOSED")
        await context.close()
