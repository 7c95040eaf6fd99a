"""Changes of files that others change at the same time."""

import asyncio

import pytest

from db.engine import Transaction
from db.rows import FileRow
from domain.backends import Backends
from domain.errors import RevisionConflict
from domain.files import Rename, rename_file
from domain.viewer import Viewer
from tests.domain.receiving import brought, until_somebody_waits
from tests.scenes import FACTS, Scene


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
async def test_of_two_who_rename_a_file_at_once_the_later_is_told_of_the_other(
    scene: Scene, backends: Backends
) -> None:
    file = await brought(backends, scene, b"some words")
    assert isinstance(file, FileRow)

    async def rename(tx: Transaction, viewer: Viewer) -> FileRow:
        return await rename_file(tx, scene.ports, viewer, Rename(file.id, "later.txt"), FACTS)

    async with scene.db.transaction() as tx:
        await rename_file(tx, scene.ports, scene.viewer("owner"), Rename(file.id, "first.txt"), FACTS)
        later = asyncio.create_task(scene.ask("editor", rename))
        await until_somebody_waits(scene.db)
    assert isinstance(await later, RevisionConflict)
