"""Restoring versions, where roles, quotas, purges and other transactions come in."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlmodel import col

from db import files, members, workspaces
from db.engine import Transaction
from db.models import Version, WorkspaceRole
from db.rows import FileRow
from domain.backends import Backends
from domain.errors import Forbidden, MediaTypeNotAllowed, NotFound
from domain.events import EventKind
from domain.files import purge_files
from domain.purges import sweep_workspaces
from domain.upload_errors import QuotaExceeded
from domain.uploads import Replaced
from domain.versions import Restoration, restore_version
from domain.viewer import Viewer
from domain.workspaces import Deletion, delete_workspace
from tests.domain.receiving import brought, is_exact, until_somebody_waits
from tests.domain.samples import png
from tests.scenes import FACTS, Scene, Verb

OLD, NEWER = b"old", b"newer"


async def two_versions(scene: Scene, backends: Backends) -> tuple[FileRow, UUID]:
    """A file that had another content before, and the version of that."""
    first = await brought(backends, scene, OLD)
    assert isinstance(first, FileRow)
    file = await brought(backends, scene, NEWER, Replaced(first.id))
    assert isinstance(file, FileRow)
    return file, first.version_id


def restoring(scene: Scene, file: FileRow, version_id: UUID) -> Verb:
    async def restore(tx: Transaction, viewer: Viewer) -> FileRow:
        return await restore_version(tx, scene.ports, viewer, Restoration(file.id, version_id), FACTS)

    return restore


async def blobs_of(scene: Scene, file: FileRow) -> list[str]:
    """Where the versions of a file lie, the oldest first."""
    statement = select(col(Version.blob_key)).where(col(Version.file_id) == file.id).order_by(col(Version.number))
    async with scene.db.reading() as rows:
        return [row.blob_key for row in await rows.all(statement)]


async def test_members_who_may_write_restore_and_for_who_is_none_there_is_no_file(
    scene: Scene, backends: Backends
) -> None:
    file, old = await two_versions(scene, backends)
    assert await scene.outcomes(restoring(scene, file, old)) == {
        "nobody": "NotSignedIn",
        "disabled": "NotFound",
        "stranger": "NotFound",
        "administrator": "NotFound",
        "viewer": "Forbidden",
        "editor": "ok",
        "owner": "ok",
    }
    assert [event for event in await scene.events() if event[0] == EventKind.FILE_RESTORED] == [
        (EventKind.FILE_RESTORED, scene.id("editor"), scene.workspace_id, file.id)
    ]
    assert await is_exact(scene.db)


async def test_a_restored_version_counts_once_more_and_its_bytes_lie_there_once(
    scene: Scene, backends: Backends
) -> None:
    file, old = await two_versions(scene, backends)
    room = len(OLD) + len(NEWER) + len(OLD)
    for quota in (room - 1, room):
        policy = replace(scene.ports.workspace_policy, quota_bytes=quota)
        limited = replace(scene, ports=replace(scene.ports, workspace_policy=policy))
        outcome = await scene.ask("owner", restoring(limited, file, old))
        assert isinstance(outcome, QuotaExceeded if quota < room else FileRow)
        assert await is_exact(scene.db)
    first, second, third = await blobs_of(scene, file)
    assert first == third != second
    async with scene.db.transaction() as tx:
        purged = await purge_files(tx, scene.ports, scene.viewer("owner"), [file.id], FACTS)
    assert sorted(purged.blob_keys) == sorted({first, second})
    assert await is_exact(scene.db)


async def test_bytes_that_another_version_needs_outlast_a_purge(scene: Scene, backends: Backends) -> None:
    file, _ = await two_versions(scene, backends)
    other = await brought(backends, scene, b"other")
    assert isinstance(other, FileRow)
    first, second = await blobs_of(scene, file)
    async with scene.db.transaction() as tx:
        shared: dict[str, Any] = {
            "blob_key": first,
            "size": 0,
            "media_type": "text/plain",
            "digest": "d",
            "created_at": file.created_at,
        }
        await tx.add(Version(file_id=other.id, number=2, **shared))
        purged = await purge_files(tx, scene.ports, scene.viewer("owner"), [file.id], FACTS)
    assert purged.blob_keys == [second]


async def test_a_workspace_is_purged_with_what_was_restored_in_it(scene: Scene, backends: Backends) -> None:
    file, old = await two_versions(scene, backends)
    assert isinstance(await scene.ask("owner", restoring(scene, file, old)), FileRow)
    async with scene.db.transaction() as tx:
        deletion = Deletion(scene.workspace_id, purge_files=True)
        await delete_workspace(tx, scene.ports, scene.viewer("owner"), deletion, FACTS)
    await sweep_workspaces(backends)
    assert await blobs_of(scene, file) == []
    assert await is_exact(scene.db)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_changes_while_a_restoration_waits_counts(scene: Scene, backends: Backends) -> None:
    file, old = await two_versions(scene, backends)
    async with scene.db.transaction() as tx:
        await workspaces.lock(tx, [scene.workspace_id])
        asked = asyncio.create_task(scene.ask("editor", restoring(scene, file, old)))
        await until_somebody_waits(scene.db)
        await members.set_role(tx, scene.workspace_id, scene.id("editor"), WorkspaceRole.VIEWER)
    assert isinstance(await asked, Forbidden)
    async with scene.db.transaction() as tx:
        await purge_files(tx, scene.ports, scene.viewer("owner"), [file.id], FACTS)
        asked = asyncio.create_task(scene.ask("owner", restoring(scene, file, old)))
        await until_somebody_waits(scene.db)
    assert isinstance(await asked, NotFound)
    assert await is_exact(scene.db)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_version_that_is_none_of_the_file_is_not_found(scene: Scene, backends: Backends) -> None:
    file, _ = await two_versions(scene, backends)
    other = await brought(backends, scene, OLD)
    assert isinstance(other, FileRow)
    for version_id in (uuid4(), other.version_id):
        assert isinstance(await scene.ask("owner", restoring(scene, file, version_id)), NotFound)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_content_that_the_name_denies_by_now_is_not_restored(scene: Scene, backends: Backends) -> None:
    picture = await brought(backends, scene, png())
    assert isinstance(picture, FileRow)
    file = await brought(backends, scene, b"words", Replaced(picture.id))
    assert isinstance(file, FileRow)
    async with scene.db.transaction() as tx:
        await files.rename(tx, file, "a.txt", "a.txt", file.updated_at)
    assert isinstance(await scene.ask("owner", restoring(scene, file, picture.version_id)), MediaTypeNotAllowed)
