"""GraphiQL in a real browser, as a stranger meets it: sign up, paste the token, upload, and find the file again."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx2 import AsyncClient
from playwright.async_api import Browser, Page, Response, expect

from tests import asking
from tests.live import Live
from tests.machine import PATIENCE_SECONDS, absent

DIST = Path(__file__).parents[2] / "web" / "dist"
# The first page of a run waits until the browser has compiled the editor, beside other tests.
expect.set_options(timeout=1000 * PATIENCE_SECONDS)


@dataclass
class Visit:
    """GraphiQL in a browser, and what the browser had to say about it."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note every host that is asked, and every error: refusals of the policy are errors of the console."""
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None,
        )

    async def run(self, operation: str) -> Any:
        """The data that GraphiQL shows after an operation was chosen from the menu of the play button."""
        await self.page.get_by_role("button", name=re.compile("^Execute")).click()
        async with self.page.expect_response(is_answer) as answer:
            await self.page.get_by_role("menuitem", name=operation, exact=True).click()
        return await self.shown(await answer.value)

    async def start(self, subscription: str) -> None:
        """Choose a subscription from the menu of the play button."""
        await self.page.get_by_role("button", name=re.compile("^Execute")).click()
        await self.page.get_by_role("menuitem", name=subscription, exact=True).click()

    async def press(self, button: str) -> Any:
        """The data that GraphiQL shows after a button that sends was pressed."""
        async with self.page.expect_response(is_answer) as answer:
            await self.page.get_by_role("button", name=button, exact=True).click()
        return await self.shown(await answer.value)

    async def shown(self, answer: Response) -> Any:
        """The answer's data, once it is in the response editor."""
        body = await answer.json()
        assert "errors" not in body, body["errors"]
        await expect(self.page.locator(".graphiql-response .view-lines")).to_contain_text('"data"')
        return body["data"]

    async def paste(self, editor: str, text: str) -> None:
        """Replace what an editor holds, as people do it: typing would meet the editor's own brackets and quotes."""
        await self.page.locator(f"{editor} .monaco-editor:visible").click()
        await self.page.evaluate("text => navigator.clipboard.writeText(text)", text)
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.press("Control+V")


def is_answer(response: Response) -> bool:
    """Whether it answers an operation of the editor: GraphiQL asks for the schema anew whenever the headers change."""
    request = response.request
    if request.method != "POST" or urlsplit(response.url).path != "/graphql":
        return False
    return "json" not in request.headers["content-type"] or "IntrospectionQuery" not in (request.post_data or "")


@pytest.fixture
async def visit(browser: Browser, served: Live) -> AsyncIterator[Visit]:
    """A browser that has never been here opens the page; in the end it has asked nobody else and found no fault."""
    if not (DIST / "index.html").exists():
        absent("node", "GraphiQL is not built: run npm ci && npm run build in web")
    context = await browser.new_context(viewport={"width": 1400, "height": 900})
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit = Visit(await context.new_page())
    visit.watch()
    await visit.page.goto(f"{served.url}/graphql")
    await expect(visit.page.locator(".graphiql-query-editor .view-lines")).to_contain_text("Welcome to Cairn")
    yield visit
    await context.close()
    assert visit.hosts == {urlsplit(served.url).netloc}, "the page asked another host"
    assert visit.complaints == []


async def use(visit: Visit, token: str) -> None:
    """Put a token into the headers."""
    await visit.paste(".graphiql-editor-tool", f'{{"Authorization": "Bearer {token}"}}')


async def sign_up(served: Live, username: str) -> str:
    """The token of a new account, made without the browser."""
    document = "mutation ($input: SignupInput!) { signup(input: $input) { accessToken } }"
    account = {"username": username, "email": f"{username}@example.org", "password": "make up a long sentence"}
    body = {"query": document, "variables": {"input": account}}
    async with AsyncClient() as client:
        answer = await client.post(f"{served.url}/graphql", json=body)
    token: str = answer.json()["data"]["signup"]["accessToken"]
    return token


async def test_a_stranger_signs_up_uploads_a_file_and_finds_it_again(visit: Visit, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("words, and more of them\n" * 100_000)
    assert await visit.run("Viewer") == {"viewer": None}
    await use(visit, (await visit.run("SignUp"))["signup"]["accessToken"])
    assert (await visit.run("Viewer"))["viewer"]["username"] == "ada"
    await visit.page.get_by_role("button", name="Show Upload").click()
    await visit.page.get_by_label("Files").set_input_files(letter)
    uploaded = (await visit.press("Send with UploadFile"))["uploadFile"]
    assert uploaded["problems"] == []
    assert uploaded["file"]["name"] == "letter.txt"
    assert uploaded["file"]["digest"] == sha256(letter.read_bytes()).hexdigest()
    listed = (await visit.run("Files"))["files"]
    assert [edge["node"]["id"] for edge in listed["edges"]] == [uploaded["file"]["id"]]
    assert await fetched(visit, uploaded["file"]["downloadUrl"]) == letter.read_bytes()


async def fetched(visit: Visit, url: str) -> bytes:
    """What the browser's own session gets for a signed URL, without any header."""
    answer = await visit.page.request.get(url)
    assert answer.status == 200
    return await answer.body()


@pytest.mark.slow
async def test_several_files_are_sent_with_an_operation_that_the_panel_adds(
    served: Live, visit: Visit, tmp_path: Path
) -> None:
    paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path in paths:
        path.write_text(f"this is {path.name}\n")
    await use(visit, await sign_up(served, "several"))
    await visit.page.get_by_role("button", name="Show Upload").click()
    await visit.page.get_by_label("Files").set_input_files(paths)
    await visit.page.get_by_role("button", name="Add an operation that takes these files").click()
    results = (await visit.press("Send with UploadFiles"))["uploadFiles"]["results"]
    assert [result["file"]["name"] for result in results] == ["one.txt", "two.txt"]


async def test_a_subscription_shows_what_happens_until_it_is_stopped(served: Live, visit: Visit) -> None:
    shown = visit.page.locator(".graphiql-response .view-lines")
    async with asyncio.timeout(PATIENCE_SECONDS), AsyncClient(base_url=served.url, timeout=PATIENCE_SECONDS) as client:
        account = await asking.sign_up(client, "watches")
        await use(visit, account.token)
        await visit.start("Watch")
        stop = visit.page.get_by_role("button", name=re.compile("^Stop"))
        await expect(stop).to_be_visible()
        while "FILE_UPLOADED" not in await shown.inner_text():  # nothing says when a subscription has begun
            await asking.uploaded(client, account)
            await asyncio.sleep(0.2)
        await asking.uploaded(client, account, "the-next-one.txt")
        await expect(shown).to_contain_text("the-next-one.txt")
        await stop.click()
        await expect(visit.page.get_by_role("button", name=re.compile("^Execute"))).to_be_visible()
    assert (await visit.run("Viewer"))["viewer"]["username"] == "watches"


@pytest.mark.slow
async def test_a_subscription_says_why_it_is_refused(visit: Visit) -> None:
    await visit.start("Watch")
    shown = visit.page.locator(".graphiql-response .view-lines")
    await expect(shown).to_contain_text("UNAUTHENTICATED")
    await use(visit, "not-a-token")
    await visit.start("Watch")
    await expect(shown).to_contain_text("4403")


@pytest.mark.slow
async def test_every_panel_opens(visit: Visit) -> None:
    await visit.page.get_by_role("button", name="Show Documentation Explorer").click()
    await expect(visit.page.get_by_text("Root Types")).to_be_visible()
    await visit.page.get_by_role("button", name="Show Upload").click()
    await expect(visit.page.get_by_label("Files")).to_be_visible()
    await visit.page.get_by_role("button", name="Open settings dialog").click()
    await expect(visit.page.get_by_role("dialog")).to_be_visible()


@pytest.mark.slow
async def test_the_stop_button_ends_an_upload(served: Live, visit: Visit, tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.write(b"words\n")
        file.truncate(2 * 1024**3)  # more than is sent before the button is found
    await use(visit, await sign_up(served, "stops"))
    await visit.page.get_by_role("button", name="Show Upload").click()
    await visit.page.get_by_label("Files").set_input_files(large)
    await visit.page.get_by_role("button", name="Send with UploadFile").click()
    await visit.page.get_by_role("button", name=re.compile("^Stop")).click()
    await expect(visit.page.get_by_role("progressbar")).to_have_count(0)
    assert (await visit.run("Files"))["files"]["totalCount"] == 0


@pytest.mark.slow
async def test_what_was_typed_is_forgotten_with_the_tab_and_the_token_at_once(served: Live, visit: Visit) -> None:
    token = await sign_up(served, "forgotten")
    await use(visit, token)
    await visit.run("Viewer")
    stored = await visit.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert stored.startswith("[{},")
    assert token not in stored
