"""Clients that send a file by every way there is, and go on with it, or begin anew, after whatever went wrong."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from httpx2 import AsyncClient, Response

from tests.api.test_signed_uploads import COMPLETE, CREATE, PARTS
from tests.api.test_tus import PIECE, VERSION, metadata
from tests.asking import UPLOAD, Account

SESSION = "query ($id: ID!) { uploadSession(id: $id) { state file { id } } }"
VERIFIED_SECONDS = 4


class NotDone(Exception):  # noqa: N818 - a fact, named as such
    """The service did not say that it was done."""


class Sender(ABC):
    """One file to be sent. `commits_after` are those of a run that come after the one that makes it a file."""

    commits_after: ClassVar[int] = 0
    is_verified_by_job: ClassVar[bool] = False
    environment: ClassVar[dict[str, str]] = {}

    def __init__(self, asker: Account, name: str, content: bytes) -> None:
        self.asker = asker
        self.name = name
        self.content = content

    @abstractmethod
    async def attempt(self, client: AsyncClient) -> str:
        """Send what has not come yet; the id of the file. Raises NotDone, and what the client raises."""
        ...

    async def ask(self, client: AsyncClient, query: str, **variables: Any) -> Any:
        """The one field of an answer without errors."""
        body = {"query": query, "variables": variables}
        return only(await client.post("/graphql", json=body, headers=self.asker.headers))

    async def settled(self, client: AsyncClient, upload_id: str) -> str:
        """The file that an upload becomes, once it is verified."""
        for _ in range(VERIFIED_SECONDS * 10):
            found = await self.ask(client, SESSION, id=upload_id)
            if found["state"] == "COMMITTED":
                file_id: str = found["file"]["id"]
                return file_id
            if found["state"] != "VERIFYING":
                break
            await asyncio.sleep(0.1)
        raise NotDone(found)


def only(answer: Response) -> Any:
    if answer.status_code != 200 or "errors" in answer.json():
        raise NotDone(answer.text)
    [found] = answer.json()["data"].values()
    return found


def require(answer: Response, *statuses: int) -> Response:
    if answer.status_code not in statuses:
        raise NotDone(answer.status_code, answer.text)
    return answer


class Multipart(Sender):
    """`uploadFile`, as the multipart request specification has it. What is cut off is sent anew."""

    async def attempt(self, client: AsyncClient) -> str:
        operations = {"query": UPLOAD, "variables": {"input": {"file": None}}}
        answer = await client.post(
            "/graphql",
            data={"operations": json.dumps(operations), "map": json.dumps({"0": ["variables.input.file"]})},
            files={"0": (self.name, self.content)},
            headers=self.asker.headers,
        )
        payload = only(answer)
        if payload["problems"]:
            raise NotDone(payload)
        file_id: str = payload["file"]["id"]
        return file_id


class Tus(Sender):
    """tus, in two pieces. `length` is what a creation says of the size."""

    url: str | None = None
    is_partial = False

    async def attempt(self, client: AsyncClient) -> str:
        if self.url is None:
            answer = await client.post("/uploads", headers=self._told(VERSION, self._creation()))
            self.url = urlsplit(require(answer, 201).headers["location"]).path
        answer = await client.head(self.url, headers=self._told(VERSION))
        if answer.status_code in {404, 410}:
            self.url = None
            raise NotDone("the upload is gone")
        offset = int(require(answer, 200).headers["upload-offset"])
        while offset < len(self.content):
            end = offset + self._piece_bytes()
            piece = self._told(PIECE, {"Upload-Offset": str(offset)}, self._said(end))
            answer = require(await client.patch(self.url, content=self.content[offset:end], headers=piece), 204)
            offset = int(answer.headers["upload-offset"])
        if self.is_partial:
            return self.url
        return str(answer.headers.get("cairn-file") or await self.settled(client, self.url.rpartition("/")[2]))

    def _piece_bytes(self) -> int:
        return len(self.content) // 2 + 1

    def _creation(self) -> dict[str, str]:
        return {**metadata(filename=self.name), "Upload-Length": str(len(self.content))}

    def _said(self, _end: int) -> dict[str, str]:
        return {}

    def _told(self, *headers: dict[str, str]) -> dict[str, str]:
        return {name: value for each in (self.asker.headers, *headers) for name, value in each.items()}


class TusOfUnknownLength(Tus):
    """tus, where the length is said with the last piece."""

    def _creation(self) -> dict[str, str]:
        return {**metadata(filename=self.name), "Upload-Defer-Length": "1"}

    def _said(self, end: int) -> dict[str, str]:
        return {"Upload-Length": str(len(self.content))} if end >= len(self.content) else {}


class Partial(Tus):
    """A piece of a concatenation, in one request."""

    is_partial = True

    def _piece_bytes(self) -> int:
        return len(self.content)

    def _creation(self) -> dict[str, str]:
        return {"Upload-Length": str(len(self.content)), "Upload-Concat": "partial"}


class Concatenation(Sender):
    """Two uploads of tus, made one. If they have ended and nobody said what they became, it begins anew."""

    commits_after = 4
    pieces: Sequence[Partial] = ()

    async def attempt(self, client: AsyncClient) -> str:
        if not self.pieces:
            half = len(self.content) // 2
            parts = (self.content[:half], self.content[half:])
            self.pieces = [Partial(self.asker, self.name, part) for part in parts]
        urls = [await piece.attempt(client) for piece in self.pieces]
        told = {**self.asker.headers, **VERSION, **metadata(filename=self.name)}
        answer = await client.post("/uploads", headers={**told, "Upload-Concat": f"final;{' '.join(urls)}"})
        if answer.status_code == 410:
            self.pieces = ()
        location = require(answer, 201).headers["location"]
        return str(answer.headers.get("cairn-file") or await self.settled(client, location.rpartition("/")[2]))


class SignedPut(Sender):
    """One PUT to a signed URL."""

    transport = "SINGLE_PUT"
    upload: Any = None

    async def attempt(self, client: AsyncClient) -> str:
        if self.upload is None:
            told = {"name": self.name, "size": len(self.content), "transport": self.transport}
            self.upload = (await self.ask(client, CREATE, input=told))["uploadSession"]
        await self.send(client)
        done = await self.ask(client, COMPLETE, id=self.upload["id"])
        if done["uploadSession"] is None:
            raise NotDone(done["problems"])
        return await self.settled(client, self.upload["id"])

    async def send(self, client: AsyncClient) -> None:
        """Everything, to its URL."""
        await self.put(client, self.upload["url"], self.content)

    async def put(self, client: AsyncClient, url: str, content: bytes) -> None:
        """Send bytes, unless they are there."""
        target = urlsplit(url)
        answer = require(await client.put(f"{target.path}?{target.query}", content=content), 204, 409)
        if answer.status_code == 409 and answer.json()["code"] not in {"TARGET_USED", "UPLOAD_ENDED"}:
            raise NotDone(answer.text)


class Parts(SignedPut):
    """Parts to signed URLs of theirs."""

    transport = "PARTS"

    async def send(self, client: AsyncClient) -> None:
        numbers = list(range(1, self.upload["partCount"] + 1))
        found = await self.ask(client, PARTS, id=self.upload["id"], numbers=numbers)
        begin = 0
        for target in found["uploadPartUrls"]:
            await self.put(client, target["url"], self.content[begin : begin + target["size"]])
            begin += target["size"]


class PartsByJob(Parts):
    """Parts that are so large that a job verifies them: it makes the file, whatever became of the client."""

    commits_after = 3
    is_verified_by_job = True
    environment: ClassVar[dict[str, str]] = {"CAIRN_VERIFIED_AT_ONCE_BYTES": "1"}


SENDERS: tuple[type[Sender], ...] = (
    Multipart,
    Tus,
    TusOfUnknownLength,
    Concatenation,
    SignedPut,
    Parts,
    PartsByJob,
)
