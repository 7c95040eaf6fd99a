"""The same people and files for every contender that has a database."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.engine.url import make_url
from uuid_utils.compat import uuid7

from db.engine import Database, migrate
from db.models import Blob, File, FileStatus, Member, User, Version, Workspace, WorkspaceRole
from tests.servers import create_database

PEOPLE = 10
FILES = 200
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """A migrated database in which `viewer_id` sees many files by several people in `shared_id`."""

    name: str
    url: str
    viewer_id: UUID
    shared_id: UUID
    personal_id: UUID


async def make_place(server: str, name: str) -> Place:
    """A new database on a PostgreSQL server, with its people and files."""
    url = make_url(server).set(drivername="postgresql+asyncpg", database=name)
    await asyncio.to_thread(create_database, url)
    return await _filled(name, url.render_as_string(hide_password=False))


async def make_embedded_place(folder: Path, name: str) -> Place:
    """A new SQLite database in a folder, with the same people and files."""
    return await _filled(name, f"sqlite+aiosqlite:///{folder / name}.db")


async def _filled(name: str, text: str) -> Place:
    await asyncio.to_thread(migrate, text)
    place = Place(name, text, uuid7(), uuid7(), uuid7())
    people = [place.viewer_id, *(uuid7() for _ in range(PEOPLE - 1))]
    files = [_file(place, people, number) for number in range(FILES)]
    db = Database(text)
    async with db.transaction() as tx:
        await tx.insert(User, [_user(user_id, f"person{number}") for number, user_id in enumerate(people)])
        await tx.insert(
            Workspace,
            [
                {"id": place.personal_id, "name": "own", "personal_user_id": place.viewer_id, "created_at": BEGIN},
                {"id": place.shared_id, "name": "all", "personal_user_id": None, "created_at": BEGIN},
            ],
        )
        await tx.insert(Member, [_member(place.personal_id, place.viewer_id)])
        await tx.insert(Member, [_member(place.shared_id, user_id) for user_id in people])
        await tx.insert(Blob, [_blob(file) for file in files])
        await tx.insert(File, files)
        await tx.insert(Version, [_version(file) for file in files])
    await db.close()
    return place


def _user(user_id: UUID, username: str) -> dict[str, Any]:
    email = f"{username}@example.org"
    return {
        "id": user_id,
        "username": username,
        "username_folded": username,
        "email": email,
        "email_folded": email,
        "password_hash": "-",
        "role": "USER",
        "created_at": BEGIN,
        "updated_at": BEGIN,
    }


def _member(workspace_id: UUID, user_id: UUID) -> dict[str, Any]:
    return {"workspace_id": workspace_id, "user_id": user_id, "role": WorkspaceRole.OWNER, "created_at": BEGIN}


def _file(place: Place, people: list[UUID], number: int) -> dict[str, Any]:
    name, at = f"report {number:03}.txt", BEGIN + timedelta(minutes=number)
    return {
        "id": uuid7(),
        "workspace_id": place.shared_id,
        "uploaded_by_id": people[number % PEOPLE],
        "name": name,
        "name_folded": name,
        "version_id": uuid7(),
        "size": number,
        "media_type": "text/plain",
        "declared_media_type": "text/plain",
        "digest": sha256(name.encode()).hexdigest(),
        "status": FileStatus.READY,
        "revision": 1,
        "created_at": at,
        "updated_at": at,
    }


def _blob(file: dict[str, Any]) -> dict[str, Any]:
    held = {"key": file["id"].hex, "store": "disk", "crc32": 0, "created_at": BEGIN}
    return held | {"size": file["size"], "digest": file["digest"]}


def _version(file: dict[str, Any]) -> dict[str, Any]:
    same = ("size", "media_type", "declared_media_type", "digest", "created_at")
    own = {"id": file["version_id"], "file_id": file["id"], "number": 1, "blob_key": file["id"].hex}
    return own | {name: file[name] for name in same} | {"created_by_id": file["uploaded_by_id"]}
