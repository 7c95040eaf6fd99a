"""A process that uploads without end, for tests that kill it.

`python -m tests.storage.uploading FOLDER` prints a line `KEY SIZE DIGEST` where a row would be committed: after the
blob is finished and before its lease is released. One sender is silent after its first bytes.
"""

import asyncio
import random
import sys
from pathlib import Path

from storage.disk import DiskStore
from storage.keys import new_key
from tests.storage.blobs import BYTES

AT_ONCE = 6


async def upload(store: DiskStore, chance: random.Random) -> None:
    while True:
        size = chance.choice([0, 100, 4096, 70_000, 1_500_000, len(BYTES)])
        writer = await store.create(new_key())
        for at in range(0, size, 65536):
            await writer.write(BYTES[at : min(at + 65536, size)])
        if chance.random() < 0.1:
            await writer.abandon()
            continue
        stored = await writer.finish()
        sys.stdout.write(f"{stored.key} {stored.size} {stored.digest}\n")
        sys.stdout.flush()
        await store.release(stored.key)


async def main(folder: Path) -> None:
    store = DiskStore(folder, floor_bytes=0, lease_seconds=1)
    await store.open()
    silent = await store.create(new_key())
    await silent.write(BYTES)
    chance = random.Random()
    await asyncio.gather(*(upload(store, chance) for _ in range(AT_ONCE)))
    await silent.abandon()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
