"""Stores to test: the contract runs against each that is named here."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from storage.disk import DiskStore
from storage.store import BlobStore


@asynccontextmanager
async def disk(folder: Path) -> AsyncIterator[BlobStore]:
    store = DiskStore(folder / "store", floor_bytes=0, lease_seconds=60)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[BlobStore]]] = {"disk": disk}


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    """On a disk: what is synced, and what can be read without waiting for it, is decided here."""
    return disk_path


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    """An empty store, of each kind in turn."""
    async with STORES[request.param](tmp_path) as opened:
        yield opened
