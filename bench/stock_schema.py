"""The reference's schema: Strawberry as its documentation shows it, over SQLModel objects and a DataLoader."""

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NewType, cast
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from strawberry.dataloader import DataLoader
from strawberry.file_uploads import Upload
from strawberry.schema.config import StrawberryConfig
from uuid_utils.compat import uuid7

from db import models

ByteCount = NewType("ByteCount", int)
COPY_BYTES = 1024**2


@dataclass
class StockContext:
    """What resolvers get."""

    engine: AsyncEngine
    folder: Path
    viewer: models.User
    users: DataLoader[UUID, models.User | None]


Info = strawberry.Info[StockContext, None]


@asynccontextmanager
async def session_on(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A session as applications make them: objects stay readable after the commit."""
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


def users_on(engine: AsyncEngine) -> DataLoader[UUID, models.User | None]:
    """Users by id, all that one operation asks for in one select."""

    async def load(ids: list[UUID]) -> list[models.User | None]:
        async with session_on(engine) as session:
            found = (await session.exec(select(models.User).where(col(models.User.id).in_(ids)))).all()
        by_id = {user.id: user for user in found}
        return [by_id.get(wanted) for wanted in ids]

    return DataLoader(load)


@strawberry.type
class User:
    """A user."""

    id: strawberry.ID
    username: str


@strawberry.type
class File:
    """A file, made of its row."""

    id: strawberry.ID
    name: str
    size: ByteCount
    media_type: str
    declared_media_type: str | None
    digest: str
    status: str
    revision: int
    created_at: datetime
    updated_at: datetime
    uploaded_by_id: strawberry.Private[UUID | None]

    @strawberry.field
    async def uploaded_by(self, info: Info) -> User | None:
        """Through the loader."""
        if self.uploaded_by_id is None:
            return None
        user = await info.context.users.load(self.uploaded_by_id)
        return User(id=strawberry.ID(str(user.id)), username=user.username) if user else None

    @classmethod
    def of(cls, row: models.File) -> "File":
        """The file of a row."""
        return cls(
            id=strawberry.ID(str(row.id)),
            name=row.name,
            size=ByteCount(row.size),
            media_type=row.media_type,
            declared_media_type=row.declared_media_type,
            digest=row.digest,
            status=row.status,
            revision=row.revision,
            created_at=row.created_at,
            updated_at=row.updated_at,
            uploaded_by_id=row.uploaded_by_id,
        )


@strawberry.type
class FileEdge:
    """A file in a list."""

    node: File
    cursor: str


@strawberry.type
class FileConnection:
    """A page."""

    edges: list[FileEdge]


@strawberry.type
class Query:
    """Questions."""

    @strawberry.field
    async def files(self, info: Info, first: int = 25) -> FileConnection:
        """The newest files of the viewer's workspaces."""
        async with session_on(info.context.engine) as session:
            rows = await session.exec(
                select(models.File)
                .join(models.Member, col(models.Member.workspace_id) == col(models.File.workspace_id))
                .where(col(models.Member.user_id) == info.context.viewer.id)
                .order_by(col(models.File.created_at).desc(), col(models.File.id).desc())
                .limit(first)
            )
            return FileConnection(edges=[_edge(row) for row in rows.all()])


@strawberry.input
class UploadFileInput:
    """One file."""

    file: Upload


@strawberry.type
class UploadFilePayload:
    """The new file."""

    file: File


@strawberry.type
class Mutation:
    """Changes."""

    @strawberry.mutation
    async def upload_file(self, info: Info, input: UploadFileInput) -> UploadFilePayload:  # noqa: A002 - the API's
        """Copy the file in a thread, then write its rows."""
        context, upload = info.context, cast("UploadFile", input.file)
        key = uuid7().hex
        size, digest = await run_in_threadpool(_keep, upload.file, context.folder / key)
        async with session_on(context.engine) as session:
            statement = select(models.Workspace).where(models.Workspace.personal_user_id == context.viewer.id)
            workspace = (await session.exec(statement)).one()
            file, others = _rows(context.viewer, workspace, upload, (key, size, digest))
            for group in others:
                session.add_all(group)
                await session.flush()
            await session.commit()
        return UploadFilePayload(file=File.of(file))


def _edge(row: models.File) -> FileEdge:
    cursor = base64.urlsafe_b64encode(f"{row.created_at.isoformat()},{row.id}".encode()).decode()
    return FileEdge(node=File.of(row), cursor=cursor)


def _keep(upload: BinaryIO, path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    draft = path.with_suffix(".draft")
    with draft.open("xb") as file:
        while piece := upload.read(COPY_BYTES):
            digest.update(piece)
            size += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return size, digest.hexdigest()


def _rows(
    viewer: models.User, workspace: models.Workspace, upload: UploadFile, stored: tuple[str, int, str]
) -> tuple[models.File, list[list[Any]]]:
    key, size, digest = stored
    now, name = datetime.now(UTC), upload.filename or "unnamed"
    content: dict[str, Any] = {
        "size": size,
        "media_type": "text/plain",
        "declared_media_type": upload.content_type,
        "digest": digest,
    }
    blob = models.Blob(key=key, store="disk", size=size, digest=digest, crc32=0, created_at=now)
    version_id = uuid7()
    file = models.File(
        workspace_id=workspace.id,
        uploaded_by_id=viewer.id,
        name=name,
        name_folded=name.casefold(),
        version_id=version_id,
        created_at=now,
        updated_at=now,
        **content,
    )
    version = models.Version(
        id=version_id,
        file_id=file.id,
        number=1,
        blob_key=key,
        created_by_id=viewer.id,
        created_at=now,
        **content,
    )
    event = models.Event(
        kind="file.uploaded",
        actor_id=viewer.id,
        workspace_id=workspace.id,
        target_id=file.id,
        size=size,
        created_at=now,
    )
    return file, [[blob, file], [version, event]]


def build_stock_schema() -> strawberry.Schema:
    """The schema."""
    byte_count = strawberry.scalar(name="ByteCount", serialize=int, parse_value=int)
    config = StrawberryConfig(scalar_map={ByteCount: byte_count})
    return strawberry.Schema(query=Query, mutation=Mutation, config=config)
