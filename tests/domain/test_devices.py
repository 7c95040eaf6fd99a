"""Logins by the rules, with a clock that is moved: guessing, known devices, and what is compared at all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import select
from sqlmodel import col

from db.engine import Database
from db.models import TwoFactor, User
from db.rates import Rate
from domain.errors import RateLimited, Unavailable, WrongPassword
from domain.events import RequestFacts
from domain.passwords import Verification
from domain.policy import Limit
from domain.ports import Ports
from domain.sessions import Presented, compare, login
from tests.records import NOW, MovableClock, add_person, make_ports

RATES = {Limit.LOGINS_PER_ACCOUNT: Rate(3, 3600), Limit.LOGINS_PER_ADDRESS: Rate(8, 3600)}
HOME = RequestFacts(address="2001:db8:1:1::7")
NEXT_DAY_AT_HOME = RequestFacts(address="2001:db8:1:1:aaaa::9")
CAFE = RequestFacts(address="192.0.2.1")
ELSEWHERE = RequestFacts(address="198.51.100.7")


@dataclass
class InstantHasher:
    """Compares at once, and remembers whether it was asked."""

    asked: list[tuple[str, str | None]] = field(default_factory=list)
    is_full: bool = False

    async def hash(self, password: str, asker: str | None = None) -> str:
        raise NotImplementedError

    async def verify(self, password: str, hashed: str | None, asker: str | None = None) -> Verification:
        if self.is_full:
            raise Unavailable(message="Too many people sign in just now.")
        self.asked.append((password, asker))
        await asyncio.sleep(0)
        return Verification(is_right=hashed is not None and password == "right")


@dataclass(frozen=True, slots=True)
class Door:
    """Where people sign in."""

    db: Database
    ports: Ports
    clock: MovableClock
    hasher: InstantHasher

    async def tries(self, password: str, facts: RequestFacts, name: str = "ada") -> bool:
        """Whether the password opens."""
        attempt = await compare(self.db, self.ports, Presented(name, password), facts)
        async with self.db.transaction() as tx:
            return not isinstance(await login(tx, self.ports, attempt, facts), WrongPassword)

    async def guesses(self, number: int, facts: RequestFacts, name: str = "ada") -> int:
        """How many of so many wrong passwords are compared."""
        before = len(self.hasher.asked)
        for _ in range(number):
            try:
                assert not await self.tries("wrong", facts, name)
            except RateLimited:
                continue
        return len(self.hasher.asked) - before

    async def opens(self, facts: RequestFacts, name: str = "ada") -> bool:
        try:
            return await self.tries("right", facts, name)
        except RateLimited:
            return False


@pytest.fixture
async def door(database_url: str) -> AsyncIterator[Door]:
    db, clock, hasher = Database(database_url), MovableClock(), InstantHasher()
    await add_person(db, "ada")
    yield Door(db, replace(make_ports(clock, RATES), hasher=hasher), clock, hasher)
    await db.close()


async def test_after_the_free_guesses_nothing_is_compared(door: Door) -> None:
    assert await door.guesses(20, CAFE) == 3
    assert not await door.opens(CAFE)
    assert len(door.hasher.asked) == 3


async def test_whoever_waits_may_try_again(door: Door) -> None:
    await door.guesses(20, CAFE)
    with pytest.raises(RateLimited) as caught:
        await door.tries("right", CAFE)
    door.clock.forward(seconds=caught.value.retry_after_seconds)
    assert await door.opens(CAFE)


async def test_strangers_do_not_keep_the_owner_out_of_a_known_device(door: Door) -> None:
    assert await door.opens(HOME)
    assert await door.guesses(20, ELSEWHERE) == 3
    assert not await door.opens(CAFE)
    assert await door.opens(NEXT_DAY_AT_HOME)


async def test_guesses_from_a_known_device_are_limited_too_and_count_for_nobody_else(door: Door) -> None:
    assert await door.opens(HOME)
    assert await door.guesses(20, HOME) == 3
    assert not await door.opens(HOME)
    assert await door.opens(CAFE)


async def test_a_device_is_known_to_the_account_that_used_it_alone(door: Door) -> None:
    await add_person(door.db, "bob")
    assert await door.opens(HOME, "bob")
    assert await door.guesses(20, HOME) == 3
    assert not await door.opens(HOME)
    assert await door.opens(HOME, "bob")


async def test_a_device_that_was_not_used_for_long_is_unknown_again(door: Door) -> None:
    assert await door.opens(HOME)
    assert await door.opens(CAFE)
    door.clock.forward(days=60)
    assert await door.opens(HOME)
    door.clock.forward(days=60)
    await door.guesses(20, ELSEWHERE)
    assert not await door.opens(CAFE)
    assert await door.opens(HOME)


async def test_a_failed_login_makes_no_device_known(door: Door) -> None:
    await door.guesses(1, HOME)
    await door.guesses(20, ELSEWHERE)
    assert not await door.opens(HOME)


async def test_a_right_password_is_a_guess_where_a_code_has_to_follow_it(door: Door) -> None:
    """Each login allows a few guesses at the code, so the logins are what has an end."""
    async with door.db.transaction() as tx:
        [user_id] = [row.id for row in await tx.all(select(col(User.id)))]
        await tx.add(TwoFactor(user_id=user_id, sealed_secret="-", created_at=NOW, confirmed_at=NOW))
    compared = 0
    for _ in range(10):
        try:
            await compare(door.db, door.ports, Presented("ada", "right"), CAFE)
            compared += 1
        except RateLimited:
            continue
    assert compared == 3


async def test_right_passwords_are_no_guesses(door: Door) -> None:
    for _ in range(30):
        assert await door.opens(CAFE)
    assert await door.guesses(20, CAFE) == 3


async def test_accounts_that_do_not_exist_are_limited_alike(door: Door) -> None:
    answers = {}
    for name, facts in (("ada", CAFE), ("nobody", ELSEWHERE), ("nobody@example.org", HOME)):
        assert await door.guesses(5, facts, name) == 3
        with pytest.raises(RateLimited) as caught:
            await door.tries("right", facts, name)
        answers[name] = vars(caught.value)
    assert answers["ada"] == answers["nobody"] == answers["nobody@example.org"]


async def test_an_address_has_its_limit_over_all_names_whatever_they_are(door: Door) -> None:
    names = ["ada", "nobody", "no\0body", "n" * 5000, "\udcff", "", "ADA", "ada@example.com", "x@y.z", "bob"]
    assert sum([await door.guesses(1, CAFE, name) for name in names]) == 8


@pytest.mark.parametrize("name", ["ada", "nobody"])
async def test_fifty_guesses_at_once_are_counted_one_by_one(door: Door, name: str) -> None:
    outcomes = await asyncio.gather(*(door.tries("wrong", CAFE, name) for _ in range(50)), return_exceptions=True)
    assert outcomes.count(False) == 3
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 47


async def test_fifty_logins_at_once_from_a_new_device_make_it_known_once(door: Door) -> None:
    free = replace(door, ports=replace(door.ports, rates={}))
    outcomes = await asyncio.gather(*(free.tries("right", CAFE) for _ in range(50)))
    assert outcomes == [True] * 50


async def test_an_attempt_that_was_not_compared_is_no_guess(door: Door) -> None:
    door.hasher.is_full = True
    for _ in range(20):
        with pytest.raises(Unavailable):
            await door.tries("right", CAFE)
    door.hasher.is_full = False
    assert await door.guesses(20, CAFE) == 3


async def test_hashes_are_asked_for_in_the_name_of_the_neighbourhood(door: Door) -> None:
    await door.guesses(1, HOME)
    assert door.hasher.asked == [("wrong", "2001:db8:1:1::/64")]
