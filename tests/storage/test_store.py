"""The contract of every blob store."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.keys import new_key
from storage.store import BlobMissing, BlobStore, StoreError
from tests.storage.blobs import BYTES, MIB, get, put, put_pieces, sums, sums_of

SIZES = [0, 1, 4096, 64 << 10, (64 << 10) + 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7]
CUTS = st.lists(
    st.one_of(st.integers(0, 40), st.integers(0, 40_000), st.sampled_from([16383, 16384, 65536, MIB, MIB + 1])),
    max_size=40,
)


@pytest.mark.parametrize("size", SIZES)
async def test_what_went_in_comes_out(store: BlobStore, size: int) -> None:
    stored = await put(store, BYTES[:size])
    assert sums_of(stored) == sums(BYTES[:size])
    assert await get(store, stored.key) == BYTES[:size]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CUTS)
async def test_sums_and_bytes_do_not_depend_on_how_they_are_cut(store: BlobStore, cuts: list[int]) -> None:
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(BYTES[at : at + cut])
        at += cut
    stored = await put_pieces(store, pieces)
    assert sums_of(stored) == sums(BYTES[:at])
    assert await get(store, stored.key) == BYTES[:at]
    await store.delete(stored.key)


async def test_a_piece_may_be_larger_than_what_is_gathered(store: BlobStore) -> None:
    stored = await put_pieces(store, [b"a", BYTES, b"z"])
    assert sums_of(stored) == sums(b"a" + BYTES + b"z")


async def test_single_bytes_are_taken(store: BlobStore) -> None:
    stored = await put(store, BYTES[:100_000], piece=1)
    assert sums_of(stored) == sums(BYTES[:100_000])


async def test_a_writer_says_how_much_it_took(store: BlobStore) -> None:
    writer = await store.create(new_key())
    assert writer.size == 0
    await writer.write(BYTES)
    await writer.write(b"abc")
    assert writer.size == len(BYTES) + 3
    await writer.abandon()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, None),
        (0, 0),
        (5, 5),
        (0, 1),
        (1, None),
        (MIB - 1, MIB + 1),
        (MIB, 3 * MIB),
        (3, 2 * MIB + 3),
        (4 * MIB, None),
    ],
)
async def test_ranges_are_read(store: BlobStore, start: int, end: int | None) -> None:
    stored = await put(store, BYTES)
    assert await get(store, stored.key, start, end) == BYTES[start:end]


async def test_pieces_are_at_most_one_mebibyte(store: BlobStore) -> None:
    stored = await put(store, BYTES[: 2 * MIB + 5])
    assert [len(piece) async for piece in store.read(stored.key)] == [MIB, MIB, 5]


@pytest.mark.parametrize(("start", "end"), [(0, 11), (11, None), (10, 11), (11, 11), (-1, 5), (6, 5)])
async def test_a_range_outside_the_blob_is_a_fault(store: BlobStore, start: int, end: int | None) -> None:
    stored = await put(store, BYTES[:10])
    with pytest.raises(StoreError):
        await get(store, stored.key, start, end)


async def test_reading_may_stop_early(store: BlobStore) -> None:
    stored = await put(store, BYTES)
    pieces = store.read(stored.key)
    assert await anext(pieces) == BYTES[:MIB]
    await pieces.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)


async def test_a_blob_that_was_never_there_is_missing(store: BlobStore) -> None:
    with pytest.raises(BlobMissing):
        await get(store, new_key())


async def test_a_blob_is_not_there_before_it_is_finished(store: BlobStore) -> None:
    key = new_key()
    writer = await store.create(key)
    await writer.write(BYTES)
    with pytest.raises(BlobMissing):
        await get(store, key)
    await writer.finish()
    assert await get(store, key) == BYTES


async def test_a_finished_writer_takes_no_more(store: BlobStore) -> None:
    writer = await store.create(new_key())
    stored = await writer.finish()
    with pytest.raises(StoreError):
        await writer.write(b"late")
    with pytest.raises(StoreError):
        await writer.finish()
    assert await get(store, stored.key) == b""


@pytest.mark.parametrize("size", [0, 100, 4 * MIB])
async def test_an_abandoned_blob_is_gone(store: BlobStore, size: int) -> None:
    key = new_key()
    writer = await store.create(key)
    await writer.write(BYTES[:size])
    await writer.abandon()
    await writer.abandon()
    with pytest.raises(BlobMissing):
        await get(store, key)
    with pytest.raises(StoreError):
        await writer.write(b"late")
    with pytest.raises(StoreError):
        await writer.finish()
    # Nothing of it is left that would be in a new one's way.
    await put(store, b"again", key)


async def test_a_finished_blob_may_be_abandoned_until_it_is_released(store: BlobStore) -> None:
    writer = await store.create(new_key())
    await writer.write(b"abc")
    stored = await writer.finish()
    await writer.abandon()
    with pytest.raises(BlobMissing):
        await get(store, stored.key)


async def test_a_released_blob_cannot_be_abandoned(store: BlobStore) -> None:
    writer = await store.create(new_key())
    await writer.write(b"abc")
    stored = await writer.finish()
    await store.release(stored.key)
    await writer.abandon()
    assert await get(store, stored.key) == b"abc"


async def test_releasing_again_does_nothing(store: BlobStore) -> None:
    stored = await put(store, b"abc")
    await store.release(stored.key)
    await store.release(stored.key)
    await store.release(new_key())
    assert await get(store, stored.key) == b"abc"


async def test_deleting_again_does_nothing(store: BlobStore) -> None:
    stored = await put(store, b"abc")
    await store.delete(stored.key)
    await store.delete(stored.key)
    await store.delete(new_key())
    with pytest.raises(BlobMissing):
        await get(store, stored.key)


async def test_a_blob_that_is_deleted_while_it_is_received_cannot_be_finished(store: BlobStore) -> None:
    key = new_key()
    writer = await store.create(key)
    await writer.write(BYTES)
    await writer.write(BYTES)
    await store.delete(key)
    with pytest.raises(StoreError):
        await writer.finish()
    with pytest.raises(BlobMissing):
        await get(store, key)


@pytest.mark.parametrize("size", [3, 4 * MIB])
async def test_bytes_are_never_written_over(store: BlobStore, size: int) -> None:
    stored = await put(store, b"first")
    await store.release(stored.key)
    with pytest.raises(StoreError):
        await put(store, BYTES[:size], stored.key)
    assert await get(store, stored.key) == b"first"


async def test_a_key_in_flight_is_not_begun_again(store: BlobStore) -> None:
    key = new_key()
    writer = await store.create(key)
    with pytest.raises(StoreError):
        await store.create(key)
    await writer.write(b"abc")
    assert sums_of(await writer.finish()) == sums(b"abc")


async def test_what_is_in_flight_is_not_expired(store: BlobStore) -> None:
    receiving = await store.create(new_key())
    await receiving.write(BYTES)
    finished = await put(store, b"abc")
    released = await put(store, b"abc")
    await store.release(released.key)
    assert await store.expired_leases() == []
    await receiving.abandon()
    await store.delete(finished.key)
    assert await store.expired_leases() == []


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.create("../x"),
        lambda store: store.release("../x"),
        lambda store: store.delete("../x"),
        lambda store: get(store, "../x"),
    ],
    ids=["create", "release", "delete", "read"],
)
async def test_nothing_but_a_key_is_a_key(store: BlobStore, use: Callable[[BlobStore], Awaitable[object]]) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await use(store)


async def test_a_working_store_passes_its_check(store: BlobStore) -> None:
    await asyncio.gather(*(store.check() for _ in range(5)))


async def test_a_store_has_a_name_for_rows(store: BlobStore) -> None:
    assert store.name.isidentifier()


async def test_fifty_blobs_at_once_stay_apart(store: BlobStore) -> None:
    async def one(number: int) -> None:
        data = BYTES[number : number + MIB + number]
        stored = await put(store, data, piece=100_000)
        assert sums_of(stored) == sums(data)
        assert await get(store, stored.key) == data

    await asyncio.gather(*(one(number) for number in range(50)))
