from domain import orphans
from domain.backends import Backends
from storage.keys import new_key
from tests.domain.receiving import announced, completed, piece
from tests.scenes import Scene


async def test_what_was_finished_since_it_was_listed_is_no_stray(backends: Backends, scene: Scene) -> None:
    upload = await piece(backends, await announced(backends, scene))
    stray = new_key()
    writer = await backends.store.extend(stray, 0)
    await writer.write(b"hello")
    await writer.close()
    listed = [entry async for batch in backends.store.incoming() for entry in batch]
    assert {entry.key for entry in listed} == {stray, upload.blob_key}
    await completed(backends, scene, upload)
    assert [entry.key for entry in await orphans.strays_among(backends, listed)] == [stray]
