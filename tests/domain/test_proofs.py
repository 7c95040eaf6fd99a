from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import update

from api.ports import ThreadedHasher
from db.engine import Database
from db.models import User
from db.rates import Rate
from domain.errors import NotSignedIn, RateLimited, Unavailable
from domain.events import RequestFacts
from domain.passwords import Verification, hash_password
from domain.policy import Limit
from domain.proofs import compare_own
from domain.viewer import NOBODY, Viewer
from tests.records import NOW, MovableClock, add_person, make_ports

FACTS = RequestFacts(address="192.0.2.1")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    yield made
    await made.close()


async def test_a_password_is_compared_with_the_viewers_own(db: Database) -> None:
    hasher = ThreadedHasher(1, 10)
    ports = replace(make_ports(MovableClock()), hasher=hasher)
    person = await add_person(db, "ada")
    async with db.transaction() as tx:
        await tx.execute(update(User).values(password_hash=hash_password("a quiet harbour")))

    assert (await compare_own(db, ports, Viewer(person.id), "a quiet harbour", FACTS)).is_right
    assert not (await compare_own(db, ports, Viewer(person.id), "another", FACTS)).is_right
    async with db.transaction() as tx:
        await tx.execute(update(User).values(disabled_at=NOW))
    assert (await compare_own(db, ports, Viewer(person.id), "a quiet harbour", FACTS)).credentials is None
    with pytest.raises(NotSignedIn):
        await compare_own(db, ports, NOBODY, "a quiet harbour", FACTS)
    hasher.close()


async def test_whoever_has_a_session_cannot_guess_its_password_for_ever(db: Database) -> None:
    hasher = ThreadedHasher(1, 10)
    ports = replace(make_ports(MovableClock(), {Limit.LOGINS_PER_ACCOUNT: Rate(2, 3600)}), hasher=hasher)
    person = await add_person(db, "ada")
    async with db.transaction() as tx:
        await tx.execute(update(User).values(password_hash=hash_password("a quiet harbour")))

    for _ in range(3):
        assert (await compare_own(db, ports, Viewer(person.id), "a quiet harbour", FACTS)).is_right
    for _ in range(2):
        assert not (await compare_own(db, ports, Viewer(person.id), "another", FACTS)).is_right
    with pytest.raises(RateLimited):
        await compare_own(db, ports, Viewer(person.id), "a quiet harbour", FACTS)
    owner = Viewer(person.id, session_id=person.session_id)
    assert (await compare_own(db, ports, owner, "a quiet harbour", FACTS)).is_right, "another session is not kept out"
    hasher.close()


async def test_a_password_that_was_not_compared_is_no_guess(db: Database) -> None:
    class Busy(ThreadedHasher):
        async def verify(self, password: str, hashed: str | None, asker: str | None = None) -> Verification:
            raise Unavailable(message=f"Too many people sign in just now: {len(password)}, {hashed}, {asker}")

    hasher = Busy(1, 10)
    ports = replace(make_ports(MovableClock(), {Limit.LOGINS_PER_ACCOUNT: Rate(2, 3600)}), hasher=hasher)
    person = await add_person(db, "ada")
    for _ in range(5):
        with pytest.raises(Unavailable):
            await compare_own(db, ports, Viewer(person.id), "a quiet harbour", FACTS)
    hasher.close()
