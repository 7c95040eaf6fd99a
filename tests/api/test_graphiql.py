from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from api.graphiql import FILES_PATH, GraphiqlFiles, graphiql_response

SCRIPT = "index-Dn8qnJll.js"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """What the build makes, in small, with a file beside it that nobody may have."""
    folder = tmp_path / "dist"
    (folder / "graphiql").mkdir(parents=True)
    (folder / "index.html").write_text(f'<script type="module" src="./graphiql/{SCRIPT}"></script>…')
    (folder / "graphiql" / SCRIPT).write_text("export {}")
    (folder / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
async def browser(dist: Path) -> AsyncIterator[AsyncClient]:
    async def page(_: Request) -> Response:
        return graphiql_response(dist, "https://files.example")

    app = Starlette(routes=[Route("/graphql", page), Mount(FILES_PATH, GraphiqlFiles(dist))])
    async with AsyncClient(transport=ASGITransport(app), base_url="http://cairn.test") as client:
        yield client


async def test_the_page_is_what_the_build_made(browser: AsyncClient) -> None:
    answer = await browser.get("/graphql")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.text.endswith(f'src="./graphiql/{SCRIPT}"></script>…')


async def test_the_page_is_asked_for_again_and_its_files_never(browser: AsyncClient) -> None:
    page, script = await browser.get("/graphql"), await browser.get(f"/graphiql/{SCRIPT}")
    assert page.headers["Cache-Control"] == "no-cache"
    assert page.headers["Vary"] == "Accept"
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"


async def test_the_page_may_run_and_ask_what_comes_from_here_and_nothing_else(browser: AsyncClient) -> None:
    policy = (await browser.get("/graphql")).headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "worker-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not any("http" in directive or "*" in directive or "eval" in directive for directive in policy)
    assert [directive for directive in policy if "unsafe" in directive] == ["style-src 'self' 'unsafe-inline'"]


async def test_a_script_says_that_it_is_one(browser: AsyncClient) -> None:
    answer = await browser.get(f"/graphiql/{SCRIPT}")
    assert answer.headers["Content-Type"].split(";")[0] in {"text/javascript", "application/javascript"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.text == "export {}"


async def test_a_file_that_the_browser_has_is_not_sent_again(browser: AsyncClient) -> None:
    first = await browser.get(f"/graphiql/{SCRIPT}")
    again = await browser.get(f"/graphiql/{SCRIPT}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["", "/", "/absent.js", "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "//etc/passwd", "/%00"],
)
async def test_only_the_files_of_the_page_are_served(browser: AsyncClient, path: str) -> None:
    answer = await browser.get(f"/graphiql{path}", follow_redirects=True)
    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_nothing_can_be_sent_to_the_files(browser: AsyncClient) -> None:
    assert (await browser.post(f"/graphiql/{SCRIPT}")).status_code == 405


async def test_without_a_build_the_page_says_what_is_missing_and_how_to_ask_without_it(
    dist: Path, browser: AsyncClient
) -> None:
    (dist / "index.html").unlink()
    answer = await browser.get("/graphql")
    assert answer.status_code == 200
    assert "Node.js" in answer.text
    assert "npm ci" in answer.text
    assert "curl" in answer.text
    assert "<script" not in answer.text
    assert "Content-Security-Policy" in answer.headers


async def test_without_a_build_no_file_is_found(tmp_path: Path) -> None:
    app = Starlette(routes=[Mount(FILES_PATH, GraphiqlFiles(tmp_path / "nowhere"))])
    async with AsyncClient(transport=ASGITransport(app), base_url="http://cairn.test") as client:
        assert (await client.get(f"/graphiql/{SCRIPT}")).status_code == 404
