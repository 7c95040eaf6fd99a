"""Years of a service's life, straight into a database: people, workspaces, files of all sizes, and what happened.

`python -m bench.history URL FILES` migrates and fills an empty database, and has the migration count what is there. The
same numbers make the same history. Some people do nearly everything, and the service grows from year to year.
"""

import argparse
import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine.url import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from db.engine import migrate

BEFORE_COUNTING = "0013"
YEARS = 3
END = datetime(2026, 11, 1, tzinfo=UTC)
BEGIN = END - timedelta(days=365 * YEARS)
FILES_EACH = 100
PEOPLE_IN_A_TEAM = 20
SKEW = 3
PURGED = 0.1
SHARED = 0.3
DOWNLOADS_EACH = 1.0
BATCH = 20_000
MEDIA_TYPES = {
    "application/pdf": 30, "image/jpeg": 25, "text/plain": 10, "image/png": 10, "application/zip": 5, "video/mp4": 5,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": 5, "audio/mpeg": 3, "text/csv": 3,
    "application/json": 2, "text/markdown": 1, "application/gzip": 1,
}  # fmt: skip
COLUMNS = {
    "users": "id username username_folded email email_folded password_hash role last_login_at created_at updated_at",
    "workspaces": "id name personal_user_id created_at",
    "members": "workspace_id user_id role created_at",
    "blobs": "key store size digest crc32 created_at",
    "files": "id workspace_id uploaded_by_id name name_folded version_id size media_type digest status revision "
    "created_at updated_at",
    "versions": "id file_id number blob_key size media_type digest created_by_id created_at",
    "events": "id kind actor_id workspace_id target_id size data created_at",
}
INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE NOT indisunique AND indrelid = ANY ($1::text[]::regclass[])
"""
SQLITE_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'"

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, since when, and the workspaces to put files into, the own one first."""

    id: UUID
    at: datetime
    places: list[UUID]


class Chance:
    """Draws, the same for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._types, self._weights = list(MEDIA_TYPES), list(MEDIA_TYPES.values())

    def id(self, at: datetime) -> UUID:
        """A UUIDv7 of a moment."""
        bits = int(at.timestamp() * 1000) << 80 | self._random.getrandbits(80)
        return UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 7 << 76 | 2 << 62)

    def moment(self, since: datetime = BEGIN) -> datetime:
        """A moment between then and the end, more often a late one."""
        return since + (END - since) * self._random.random() ** 0.5

    def one_of(self, people: list[Person]) -> Person:
        """Somebody, mostly one of the first."""
        return people[int(len(people) * self._random.random() ** SKEW)]

    def media_type(self) -> str:
        """A media type, the usual ones more often."""
        return self._random.choices(self._types, self._weights)[0]

    def size(self) -> int:
        """Bytes of a file: mostly some hundred thousand, sometimes gigabytes."""
        return min(int(self._random.lognormvariate(12, 2.5)), 10**11)

    def happens(self, share: float) -> bool:
        """Whether something does that happens so often."""
        return self._random.random() < share

    def place(self, person: Person) -> UUID:
        """Where somebody puts a file."""
        shared = person.places[1:]
        return self._random.choice(shared) if shared and self.happens(SHARED) else person.places[0]


def people_of(chance: Chance, number: int) -> tuple[list[Person], Rows]:
    """Everybody, with a workspace of their own, and teams of many."""
    rows: Rows = {name: [] for name in COLUMNS}
    people = []
    teams = [chance.id(BEGIN) for _ in range(max(1, number // PEOPLE_IN_A_TEAM))]
    rows["workspaces"] += [(team, f"Team {index}", None, BEGIN) for index, team in enumerate(teams)]
    for index in range(number):
        at = chance.moment()
        person = Person(chance.id(at), at, [chance.id(at), teams[index % len(teams)]])
        name, email = f"person{index}", f"person{index}@example.org"
        rows["users"].append((person.id, name, name, email, email, "-", "USER", chance.moment(at), at, at))
        rows["workspaces"].append((person.places[0], "Personal", person.id, at))
        rows["members"] += [(place, person.id, "OWNER", at) for place in person.places]
        rows["events"] += [
            (chance.id(at), "user.created", person.id, person.places[0], person.id, None, None, at),
            (chance.id(at), "login.succeeded", person.id, None, person.id, None, None, chance.moment(at)),
        ]
        people.append(person)
    return people, rows


def files_of(chance: Chance, people: list[Person], number: int) -> Iterator[Rows]:
    """Files in batches, with what happened to each."""
    for begin in range(0, number, BATCH):
        rows: Rows = {name: [] for name in COLUMNS}
        for index in range(begin, min(begin + BATCH, number)):
            _add_file(rows, chance, people, index)
        yield rows


def _add_file(rows: Rows, chance: Chance, people: list[Person], index: int) -> None:
    person = chance.one_of(people)
    place, at, size, kind = chance.place(person), chance.moment(person.at), chance.size(), chance.media_type()
    file_id, version_id, name, digest = chance.id(at), chance.id(at), f"file {index}", f"{index:064x}"
    rows["events"].append((chance.id(at), "file.uploaded", person.id, place, file_id, size, {"mediaType": kind}, at))
    if chance.happens(DOWNLOADS_EACH):
        then, by = chance.moment(at), chance.one_of(people) if place != person.places[0] else person
        told = {"versionId": str(version_id)}
        rows["events"].append((chance.id(then), "file.downloaded", by.id, place, file_id, size, told, then))
    if chance.happens(PURGED):
        then = chance.moment(at)
        rows["events"].append((chance.id(then), "file.purged", person.id, place, file_id, size, None, then))
        return
    rows["blobs"].append((file_id.hex, "disk", size, digest, 0, at))
    of_file = (file_id, place, person.id, name, name, version_id, size, kind, digest, "READY", 1, at, at)
    rows["files"].append(of_file)
    rows["versions"].append((version_id, file_id, 1, file_id.hex, size, kind, digest, person.id, at))


async def make_history(url: str, files: int, say: Callable[[str], None] = print) -> None:
    """Fill an empty database, and have the migration count what is there."""
    began = time.monotonic()
    await asyncio.to_thread(migrate, url, BEFORE_COUNTING)
    chance = Chance()
    people, rows = people_of(chance, max(2, files // FILES_EACH))
    write = _into_sqlite if make_url(url).get_backend_name() == "sqlite" else _into_postgres
    await write(url, (batch for batches in ([rows], files_of(chance, people, files)) for batch in batches))
    say(f"{files} files and what happened to them: {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    await asyncio.to_thread(migrate, url)
    say(f"counted by the migration: {time.monotonic() - began:.0f} s")
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("ANALYZE" if engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))
    await engine.dispose()


async def _into_postgres(url: str, batches: Iterable[Rows]) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    # Nothing refers to what is not there, and an index is made much faster than it is kept.
    await connection.execute("SET session_replication_role = replica")
    indexes = await connection.fetch(INDEXES, list(COLUMNS))
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    for batch in batches:
        for name, rows in batch.items():
            written = [tuple(_json(value) if isinstance(value, dict) else value for value in row) for row in rows]
            await connection.copy_records_to_table(name, records=written, columns=COLUMNS[name].split())
    for index in indexes:
        await connection.execute(index["definition"])
    await connection.close()


async def _into_sqlite(url: str, batches: Iterable[Rows]) -> None:
    connection = sqlite3.connect(make_url(url).database or "")
    for pragma in ("synchronous=OFF", "cache_size=-500000"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = connection.execute(SQLITE_INDEXES).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    for batch in batches:
        for name, rows in batch.items():
            columns = COLUMNS[name].split()
            marks = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})"
            connection.executemany(insert, [tuple(map(_plain, row)) for row in rows])
        connection.commit()
    for _, definition in indexes:
        connection.execute(definition)
    connection.close()


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return _json(value) if isinstance(value, dict) else value


def _json(value: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": "{said}"' for name, said in value.items()) + "}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.history", description="Fill a database with a history.")
    parser.add_argument("url", help="an empty database, such as sqlite+aiosqlite:////tmp/history.db")
    parser.add_argument("files", type=int, help="how many files were uploaded; a hundred for each person")
    given = parser.parse_args()
    asyncio.run(make_history(given.url, given.files))
