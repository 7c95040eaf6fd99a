from pathlib import Path

from db import blobs, files
from db.models import BlobDamage
from domain import damages
from domain.backends import Backends
from tests.domain.keeping import events_of, flip, kept, lying, mark, record_of
from tests.records import Bytes, add_version
from tests.scenes import Scene


async def at_any_pace(_count: int) -> None:
    pass


async def examined(backends: Backends, key: str) -> BlobDamage | None:
    record = await record_of(backends, key)
    assert record is not None
    return await damages.examine(backends, record, at_any_pace)


async def test_every_version_of_a_damaged_blob_is_told_of_once(
    backends: Backends, scene: Scene, tmp_path: Path
) -> None:
    key = await kept(backends, scene.people["owner"])
    async with scene.db.reading() as rows:
        [version] = await files.versions_of_blob(rows, key)
    other = await kept(backends, scene.people["owner"])
    await add_version(scene.db, version.file_id, 2, Bytes(b"a few words\n", "0" * 32))
    flip(tmp_path / "data", key)
    record = await record_of(backends, key)
    assert record is not None
    for _ in range(2):  # the second as somebody who read the record before
        assert await damages.examine(backends, record, at_any_pace) is BlobDamage.DIGEST
    assert await events_of(backends, "file.damaged") == [{"versionId": str(version.id), "damage": "DIGEST"}]
    assert await examined(backends, other) is None
    flip(tmp_path / "data", key)
    assert await examined(backends, key) is None
    assert await events_of(backends, "file.mended") == [{"versionId": str(version.id)}]


async def test_a_damaged_blob_that_no_version_has_is_noted_all_the_same(backends: Backends, tmp_path: Path) -> None:
    writer = await backends.store.create(key := "1" * 32)
    await writer.write(b"a few words")
    stored = await writer.finish()
    async with backends.db.transaction() as tx:
        await blobs.fence(tx, [key], "disk", backends.ports.clock.now(), backends.ports.clock.now())
    await mark(backends, key, deleted_at=None, size=stored.size, digest=stored.digest, crc32=stored.crc32)
    assert await examined(backends, key) is None
    lying(tmp_path / "data", key).unlink()
    assert await examined(backends, key) is BlobDamage.MISSING
    record = await record_of(backends, key)
    assert record is not None
    assert record.damage == BlobDamage.MISSING
    assert await events_of(backends, "file.damaged") == []


async def test_what_was_read_is_noted_with_its_time(backends: Backends, scene: Scene) -> None:
    key = await kept(backends, scene.people["owner"])
    scene.clock.forward(days=8)
    before = scene.clock.now()
    async with scene.db.reading() as rows:
        assert [row.key for row in await blobs.unverified(rows, "disk", before, 5)] == [key]
    await examined(backends, key)
    async with scene.db.reading() as rows:
        assert await blobs.unverified(rows, "elsewhere", before, 5) == []
        scene.clock.forward(days=8)
        found = await blobs.unverified(rows, "disk", scene.clock.now(), 5)
    assert [row.key for row in found] == [key]
