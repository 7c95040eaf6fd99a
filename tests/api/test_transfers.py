"""Files on their way out, asked for through the whole application."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import select, update
from sqlmodel import col

from api.settings import Settings
from db.engine import Database
from db.models import Event, File, Member, User
from tests.asking import Account, ask, sign_up, uploaded

CONTENT = b"The quick brown fox jumps over the lazy dog.\n"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000000000500010d0a2db40000000049454e44ae426082"
)
DOWNLOAD_URL = """
query Url($id: ID!, $disposition: Disposition! = ATTACHMENT) {
  file(id: $id) { downloadUrl(disposition: $disposition) version { id } }
}
"""
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Somebody with a file, and what the database and the store know of it."""

    client: AsyncClient
    owner: Account
    file: Any
    db: Database
    folder: Path

    @property
    def path(self) -> str:
        return f"/files/{self.file['id']}/download"

    async def get(self, **headers: str) -> Response:
        return await self.client.get(self.path, headers=self.owner.headers | _fields(headers))

    async def head(self, **headers: str) -> Response:
        return await self.client.head(self.path, headers=self.owner.headers | _fields(headers))

    async def url(self, **variables: str) -> str:
        found: str = (await ask(self.client, DOWNLOAD_URL, self.owner, id=self.file["id"], **variables))["file"][
            "downloadUrl"
        ]
        return found

    async def downloads(self) -> list[Any]:
        """The events of downloads, once the recorder has had its time."""
        await asyncio.sleep(1)
        async with self.db.reading() as rows:
            statement = select(col(Event.size), col(Event.address)).where(col(Event.kind) == "file.downloaded")
            return [row.size for row in await rows.all(statement.order_by(col(Event.id)))]

    @property
    def blob(self) -> Path:
        [found] = [path for path in self.folder.rglob("blobs/*/*") if _digest(path) == self.file["digest"]]
        return found


def _fields(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    """On a disk, which small files are read from without waiting."""
    return disk_path


@pytest.fixture
async def shelf(client: AsyncClient, settings: Settings, database_url: str) -> AsyncIterator[Shelf]:
    owner = await sign_up(client)
    file = await uploaded(client, owner, "fox.txt", CONTENT)
    db = Database(database_url)
    yield Shelf(client, owner, file, db, settings.data_folder)
    await db.close()


async def test_an_owner_gets_the_bytes_back(shelf: Shelf) -> None:
    answer = await shelf.get()

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-disposition"] == 'attachment; filename="fox.txt"'
    assert answer.headers["etag"] == f'"{sha256(CONTENT).hexdigest()}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["last-modified"].endswith(" GMT")
    assert await shelf.downloads() == [len(CONTENT)]


@SQLITE
async def test_it_is_there_below_a_path_that_the_server_adds(shelf: Shelf) -> None:
    shelf.client._transport.root_path = "/below"  # type: ignore[attr-defined]
    answer = await shelf.client.get(f"/below{shelf.path}", headers=shelf.owner.headers)
    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_nothing_in_a_file_can_run_be_guessed_at_or_embedded(shelf: Shelf) -> None:
    answer = await shelf.get()

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "private, no-cache"


@SQLITE
async def test_head_says_what_get_would_and_is_no_download(shelf: Shelf) -> None:
    get, head = await shelf.get(), await shelf.head(range="bytes=0-4")

    assert (head.status_code, head.content) == (200, b"")
    own = {"x-request-id"}
    assert {n: v for n, v in head.headers.items() if n not in own} == {
        n: v for n, v in get.headers.items() if n not in own
    }
    assert await shelf.downloads() == [len(CONTENT)]


async def test_ranges_of_one_file_are_one_download(shelf: Shelf) -> None:
    first, second = await shelf.get(range="bytes=0-9"), await shelf.get(range="bytes=-5")

    assert (first.status_code, first.content) == (206, CONTENT[:10])
    assert first.headers["content-range"] == f"bytes 0-9/{len(CONTENT)}"
    assert first.headers["content-length"] == "10"
    assert (second.status_code, second.content) == (206, CONTENT[-5:])
    assert await shelf.downloads() == [15]


@SQLITE
async def test_a_range_outside_the_file_is_told_how_large_it_is(shelf: Shelf) -> None:
    answer = await shelf.get(range="bytes=1000-")

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "RANGE_NOT_SATISFIABLE"
    assert await shelf.downloads() == []


@SQLITE
async def test_several_ranges_and_other_units_get_the_whole_file(shelf: Shelf) -> None:
    for field in ("bytes=0-1,4-5", "lines=1-2", "bytes=9-1"):
        answer = await shelf.get(range=field)
        assert (answer.status_code, answer.content) == (200, CONTENT)


@SQLITE
async def test_what_the_client_has_is_not_sent_again(shelf: Shelf) -> None:
    etag = (await shelf.head()).headers["etag"]
    for answer in (await shelf.get(if_none_match=f'W/"x", {etag}'), await shelf.head(if_none_match="*")):
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert "content-length" not in answer.headers

    assert await shelf.downloads() == []


@SQLITE
async def test_dates_work_as_conditions(shelf: Shelf) -> None:
    modified = (await shelf.head()).headers["last-modified"]
    old = "Sun, 06 Nov 1994 08:49:37 GMT"

    assert (await shelf.get(if_modified_since=modified)).status_code == 304
    assert (await shelf.get(if_modified_since=old)).status_code == 200
    assert (await shelf.get(if_unmodified_since=modified)).status_code == 200
    assert (await shelf.get(if_unmodified_since=old)).status_code == 412
    assert (await shelf.get(if_range=modified, range="bytes=0-0")).status_code == 206
    assert (await shelf.get(if_range=old, range="bytes=0-0")).status_code == 200


@SQLITE
async def test_another_content_fails_the_precondition(shelf: Shelf) -> None:
    answer = await shelf.get(if_match='"other"')

    assert (answer.status_code, answer.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert answer.json()["requestId"] == answer.headers["x-request-id"]


@SQLITE
async def test_conditions_on_several_lines_count_together(shelf: Shelf) -> None:
    etag = (await shelf.head()).headers["etag"]
    lines = [*shelf.owner.headers.items(), ("if-match", '"other"'), ("if-match", etag)]

    assert (await shelf.client.get(shelf.path, headers=lines)).status_code == 200


async def test_foreign_absent_and_malformed_ids_are_answered_alike(shelf: Shelf) -> None:
    stranger = await sign_up(shelf.client, "eve")
    version = f"ver_{'0' * 32}"
    paths = [
        shelf.path,
        f"/files/file_{'0' * 32}/download",
        f"/files/file_{'A' * 32}/download",
        "/files/x/download",
        f"/files/{stranger.id}/download",
        f"/files/{shelf.file['id']}/versions/{version}/download",
        f"/files/{shelf.file['id']}/versions/x/download",
    ]
    answers = [await shelf.client.get(path, headers=stranger.headers) for path in paths]

    assert {answer.status_code for answer in answers} == {404}
    assert len({str({**answer.json(), "requestId": ""}) for answer in answers}) == 1
    assert answers[0].json()["code"] == "NOT_FOUND"


@SQLITE
async def test_only_credentials_open_a_file(shelf: Shelf) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}, {"X-API-Key": "x"}):
        for path in (shelf.path, "/files/x/download"):
            answer = await shelf.client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"]


async def test_a_disabled_user_is_not_let_in_any_more(shelf: Shelf) -> None:
    async with shelf.db.transaction() as tx:
        await tx.execute(update(User).values(disabled_at=col(User.created_at)))

    answer = await shelf.get()

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


async def test_a_session_that_has_ended_downloads_nothing_and_its_links_go_on(shelf: Shelf) -> None:
    url = await shelf.url()
    await ask(shelf.client, "mutation { logout { problems { code } } }", shelf.owner)

    for answer in (await shelf.get(), await shelf.head()):
        assert answer.status_code == 401
    assert (await shelf.client.get(url)).status_code == 200


async def test_many_viewers_at_once_get_each_their_own(shelf: Shelf) -> None:
    others = [await sign_up(shelf.client, f"user{number}") for number in range(3)]
    files = [await uploaded(shelf.client, other, "own.txt", f"of {other.username}\n".encode()) for other in others]

    async def get(asker: Account, file: Any) -> tuple[int, bytes]:
        answer = await shelf.client.get(f"/files/{file['id']}/download", headers=asker.headers)
        return answer.status_code, answer.content

    pairs = [(asker, file) for asker in others for file in files] * 4
    answers = await asyncio.gather(*(get(asker, file) for asker, file in pairs))

    for (asker, file), (status, content) in zip(pairs, answers, strict=True):
        if file is files[others.index(asker)]:
            assert (status, content) == (200, f"of {asker.username}\n".encode())
        else:
            assert status == 404


async def test_a_signed_url_needs_no_header_and_counts_for_its_signer(shelf: Shelf) -> None:
    answer = await shelf.client.get(await shelf.url())

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert await shelf.downloads() == [len(CONTENT)]


@SQLITE
async def test_a_changed_url_opens_nothing(shelf: Shelf) -> None:
    url = await shelf.url()
    changed = [
        url.replace("disposition=attachment", "disposition=inline"),
        url.replace("disposition=attachment", "disposition=x"),
        url.replace("disposition=attachment&", ""),
        url.replace("expires=", "expires=9"),
        url.replace("expires=", "expires=x"),
        url.replace("signer=user_", "signer="),
        url[:-1],
        url.partition("signature=")[0] + "signature=",
        url.partition("signature=")[0] + "signature=%C3%A9%00",
        shelf.path + "?" + url.partition("?")[2],
    ]
    for forged in changed:
        answer = await shelf.client.get(forged)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


async def test_a_signed_url_stops_working_with_its_signer_s_right(shelf: Shelf) -> None:
    url = await shelf.url()
    async with shelf.db.transaction() as tx:
        await tx.execute(Member.__table__.delete())  # type: ignore[attr-defined]

    answer = await shelf.client.get(url)

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@SQLITE
async def test_a_browser_may_show_only_what_is_harmless_and_asked_for(shelf: Shelf) -> None:
    picture = await uploaded(shelf.client, shelf.owner, "dot.png", PNG)
    page = await uploaded(shelf.client, shelf.owner, "data.xml", b"<?xml version='1.0'?><a/>")

    async def disposition(file: Any, **variables: str) -> tuple[str, str]:
        own = Shelf(shelf.client, shelf.owner, file, shelf.db, shelf.folder)
        headers = (await shelf.client.get(await own.url(**variables))).headers
        return headers["content-disposition"].partition(";")[0], headers["content-type"]

    assert await disposition(picture) == ("attachment", "image/png")
    assert await disposition(picture, disposition="INLINE") == ("inline", "image/png")
    assert (await disposition(page, disposition="INLINE"))[0] == "attachment"
    shown = await shelf.client.get(f"/files/{picture['id']}/download?disposition=inline", headers=shelf.owner.headers)
    assert shown.headers["content-disposition"].startswith("inline;")


@SQLITE
async def test_types_beyond_the_closed_list_are_sent_as_bytes(shelf: Shelf) -> None:
    async with shelf.db.transaction() as tx:
        await tx.execute(update(File).values(media_type="text/html"))
        await tx.execute(update(File.metadata.tables["versions"]).values(media_type="text/html"))

    answer = await shelf.client.get(f"{shelf.path}?disposition=inline", headers=shelf.owner.headers)

    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")


@SQLITE
@pytest.mark.parametrize(
    "query", ["disposition=x", "a=1&a=2", "&".join(f"a{n}=" for n in range(50)), "%ff=%ff&%ff=%ff"]
)
async def test_a_strange_query_is_refused(shelf: Shelf, query: str) -> None:
    answer = await shelf.client.get(f"{shelf.path}?{query}", headers=shelf.owner.headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_USER_INPUT")


@SQLITE
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_files_are_only_read_here(shelf: Shelf, method: str) -> None:
    answer = await shelf.client.request(method, shelf.path, headers=shelf.owner.headers)

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["code"] == "METHOD_NOT_ALLOWED"


@SQLITE
async def test_names_travel_whole(shelf: Shelf) -> None:
    file = await uploaded(shelf.client, shelf.owner, "füchse 狐.txt", CONTENT)

    answer = await shelf.client.get(f"/files/{file['id']}/download", headers=shelf.owner.headers)

    expected = "attachment; filename=\"fuchse _.txt\"; filename*=UTF-8''f%C3%BCchse%20%E7%8B%90.txt"
    assert answer.headers["content-disposition"] == expected


@SQLITE
async def test_an_empty_file_is_downloaded_too(shelf: Shelf) -> None:
    file = await uploaded(shelf.client, shelf.owner, "empty.txt", b"")
    own = Shelf(shelf.client, shelf.owner, file, shelf.db, shelf.folder)

    assert ((await own.get()).status_code, (await own.get()).content) == (200, b"")
    assert (await own.get(range="bytes=0-")).status_code == 416
    assert await own.downloads() == [0, 0]


@SQLITE
@pytest.mark.parametrize("is_missing", [True, False])
async def test_lost_bytes_are_a_fault_told_before_anything_is_sent(shelf: Shelf, is_missing: bool) -> None:  # noqa: FBT001
    blob = shelf.blob
    if is_missing:
        blob.unlink()
    else:
        blob.chmod(0o600)
        blob.write_bytes(CONTENT[:-1])

    answer = await shelf.get()

    assert (answer.status_code, answer.json()["code"]) == (503, "FILE_DAMAGED")
    assert str(shelf.folder) not in answer.text
    assert await shelf.downloads() == []
