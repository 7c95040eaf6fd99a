"""Rates as the rules see them: who is counted with whom, what is refused, and what the refusal says."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from db.rates import Rate
from domain import rates
from domain.errors import RateLimited
from domain.events import RequestFacts
from domain.policy import Limit, Rates
from domain.ports import Ports
from domain.rates import Allowance, neighbourhood
from domain.viewer import NOBODY, Viewer
from tests.records import MovableClock, make_ports

HERE, THERE = RequestFacts(address="192.0.2.1"), RequestFacts(address="192.0.2.2")
NOWHERE = RequestFacts()


def ports_with(limits: Rates) -> Ports:
    return make_ports(MovableClock(), limits)


async def allowed(counting: Any, tries: int = 20) -> int:
    """How many of so many tries are allowed."""
    done = 0
    for _ in range(tries):
        try:
            await counting()
        except RateLimited:
            continue
        done += 1
    return done


@pytest.mark.parametrize(
    ("address", "who"),
    [
        (None, None),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_address_counts_with_its_neighbourhood(address: str | None, who: str | None) -> None:
    assert neighbourhood(address) == who


async def test_addresses_are_counted_apart_and_no_address_is_not_counted() -> None:
    ports = ports_with({Limit.REQUESTS_PER_ADDRESS: Rate(3, 60)})
    assert await allowed(lambda: rates.count_request(ports, HERE)) == 3
    assert await allowed(lambda: rates.count_request(ports, THERE)) == 3
    assert await allowed(lambda: rates.count_request(ports, NOWHERE)) == 20


async def test_without_rates_nothing_is_refused() -> None:
    ports, viewer = ports_with({}), Viewer(uuid4())
    assert await rates.count_request(ports, HERE) == []
    assert await allowed(lambda: rates.count_user_request(ports, viewer), 100) == 100
    assert await allowed(lambda: rates.count_guess(ports, "ada", HERE, is_known=False), 100) == 100
    assert await allowed(lambda: rates.count_mail(ports, "ada", HERE), 100) == 100
    await rates.give_back(ports, await rates.count_guess(ports, "ada", HERE, is_known=False))


async def test_a_refusal_names_the_limit_and_when_to_come_back() -> None:
    ports = ports_with({Limit.SIGNUPS_PER_ADDRESS: Rate(2, 60)})
    assert await allowed(lambda: rates.count_signup(ports, HERE)) == 2
    with pytest.raises(RateLimited) as caught:
        await rates.count_signup(ports, HERE)
    refusal = caught.value
    assert (refusal.policy, refusal.limit, refusal.window_seconds) == ("signups-per-address", 2, 60)
    assert refusal.retry_after_seconds == 30
    assert "2 in 60 seconds are allowed. Try again in 30 seconds." in refusal.message


async def test_whoever_waits_as_long_as_told_is_let_in() -> None:
    clock = MovableClock()
    ports = make_ports(clock, {Limit.SIGNUPS_PER_ADDRESS: Rate(7, 60)})
    refused = 0
    for _ in range(30):
        try:
            await rates.count_signup(ports, HERE)
        except RateLimited as refusal:
            refused += 1
            clock.forward(seconds=refusal.retry_after_seconds)
            await rates.count_signup(ports, HERE)
    assert refused > 0


async def test_a_standing_tells_what_is_left() -> None:
    rate = Rate(10, 60)
    ports, viewer = ports_with({Limit.REQUESTS_PER_USER: rate}), Viewer(uuid4())
    [standing] = await rates.count_user_request(ports, viewer)
    assert (standing.limit, standing.rate, standing.remaining, standing.reset_seconds) == (
        Limit.REQUESTS_PER_USER,
        rate,
        9,
        6,
    )
    assert await rates.count_user_request(ports, NOBODY) == []


async def test_a_standing_tells_whole_seconds_whatever_the_clock_says() -> None:
    told = set()
    for hundredths in range(7600, 7640):
        ports = make_ports(
            MovableClock(datetime.fromtimestamp(hundredths / 100, UTC)), {Limit.REQUESTS_PER_USER: Rate(20, 3600)}
        )
        [standing] = await rates.count_user_request(ports, Viewer(uuid4()))
        told.add(standing.reset_seconds)
    assert told == {180}


async def test_what_operations_cost_counts_for_the_user_or_else_for_the_address() -> None:
    ports = ports_with({Limit.COST_PER_USER: Rate(100, 60), Limit.COST_PER_ADDRESS: Rate(50, 60)})
    ada, bob = Viewer(uuid4()), Viewer(uuid4())
    assert await allowed(lambda: rates.count_cost(ports, ada, HERE, 30)) == 3
    assert await allowed(lambda: rates.count_cost(ports, ada, THERE, 30)) == 0
    assert await allowed(lambda: rates.count_cost(ports, bob, HERE, 30)) == 3
    assert await allowed(lambda: rates.count_cost(ports, NOBODY, HERE, 30)) == 1
    assert await allowed(lambda: rates.count_cost(ports, NOBODY, THERE, 30)) == 1


async def test_mails_count_for_the_account_and_for_the_address() -> None:
    ports = ports_with({Limit.MAILS_PER_ACCOUNT: Rate(2, 60), Limit.MAILS_PER_ADDRESS: Rate(5, 60)})
    assert await allowed(lambda: rates.count_mail(ports, "ada@example.org", HERE)) == 2
    assert await allowed(lambda: rates.count_mail(ports, "ada@example.org", THERE)) == 0
    accounts = iter(str(number) for number in range(20))
    assert await allowed(lambda: rates.count_mail(ports, next(accounts), HERE)) == 3


@pytest.fixture
def guarded() -> Ports:
    return ports_with({Limit.LOGINS_PER_ACCOUNT: Rate(3, 3600), Limit.LOGINS_PER_ADDRESS: Rate(5, 3600)})


async def test_guesses_count_for_the_account_from_wherever_they_come(guarded: Ports) -> None:
    places = (RequestFacts(address=f"192.0.2.{number}") for number in range(20))
    assert await allowed(lambda: rates.count_guess(guarded, "ada", next(places), is_known=False)) == 3


async def test_guesses_count_for_the_address_whatever_account_they_are_about(guarded: Ports) -> None:
    names = (f"user{number}" for number in range(20))
    assert await allowed(lambda: rates.count_guess(guarded, next(names), HERE, is_known=False)) == 5
    assert await allowed(lambda: rates.count_guess(guarded, None, HERE, is_known=False)) == 0
    assert await allowed(lambda: rates.count_guess(guarded, None, THERE, is_known=False)) == 5


async def test_a_known_device_is_not_kept_out_by_strangers_nor_they_by_it(guarded: Ports) -> None:
    assert await allowed(lambda: rates.count_guess(guarded, "ada", THERE, is_known=False)) == 3
    assert await allowed(lambda: rates.count_guess(guarded, "eve", HERE, is_known=False)) == 3
    assert await allowed(lambda: rates.count_guess(guarded, "ada", HERE, is_known=True)) == 3
    assert await allowed(lambda: rates.count_guess(guarded, "bob", HERE, is_known=False)) == 2


async def test_a_known_device_without_an_address_counts_as_unknown(guarded: Ports) -> None:
    assert await allowed(lambda: rates.count_guess(guarded, "ada", NOWHERE, is_known=True)) == 3
    assert await allowed(lambda: rates.count_guess(guarded, "ada", THERE, is_known=False)) == 0


async def test_delays_between_guesses_grow() -> None:
    clock = MovableClock()
    ports = make_ports(clock, {Limit.LOGINS_PER_ACCOUNT: Rate(3, 4096)})
    delays: list[int] = []
    while len(delays) < 12:
        try:
            await rates.count_guess(ports, "ada", HERE, is_known=False)
        except RateLimited as refusal:
            delays.append(refusal.retry_after_seconds)
            clock.forward(seconds=refusal.retry_after_seconds)
    assert delays == [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4096]


async def test_an_attempt_that_was_right_is_no_guess(guarded: Ports) -> None:
    for _ in range(50):
        await rates.give_back(guarded, await rates.count_guess(guarded, "ada", HERE, is_known=False))
    assert await allowed(lambda: rates.count_guess(guarded, "ada", HERE, is_known=False)) == 3


async def test_what_an_account_is_called_is_not_in_the_keys_that_are_counted(guarded: Ports) -> None:
    counted = await rates.count_guess(guarded, "ada\udcff", HERE, is_known=False)
    counted += await rates.count_guess(guarded, "ada", HERE, is_known=True)
    assert not any("ada" in each.charge.key for each in counted)


@pytest.fixture
def metered() -> Ports:
    return ports_with({Limit.UPLOADED_BYTES_PER_USER: Rate(10_000_000, 86400)})


async def left(ports: Ports, viewer: Viewer) -> int:
    """How many of the user's bytes are left, to ten thousand."""
    pieces = 0
    while True:
        try:
            await Allowance(ports, viewer).begin(10_000)
        except RateLimited:
            return pieces * 10_000
        pieces += 1


async def test_declared_bytes_are_taken_before_they_come_and_given_back_when_they_do_not(metered: Ports) -> None:
    ada = Viewer(uuid4())
    allowance = Allowance(metered, ada)
    await allowance.begin(9_000_000)
    with pytest.raises(RateLimited):
        await Allowance(metered, ada).begin(2_000_000)
    await allowance.grow(3_000_000)
    await allowance.abandon(3_000_000)
    assert await left(metered, ada) == 7_000_000


async def grow_over(allowance: Allowance, sizes: Iterable[int]) -> None:
    for size in sizes:
        await allowance.grow(size)


async def test_undeclared_bytes_are_counted_as_they_come(metered: Ports) -> None:
    ada = Viewer(uuid4())
    allowance = Allowance(metered, ada)
    await allowance.begin(None)
    with pytest.raises(RateLimited):
        await grow_over(allowance, range(100_000, 20_000_000, 100_000))
    assert 0 <= await left(metered, ada) <= 1_200_000


async def test_a_small_upload_counts_what_it_has(metered: Ports) -> None:
    ada = Viewer(uuid4())
    for _ in range(3):
        allowance = Allowance(metered, ada)
        await allowance.begin(None)
        await allowance.grow(1_000_000)
        await allowance.finish(1_000_000)
    assert await left(metered, ada) == 7_000_000


async def test_bytes_that_came_count_even_when_nothing_is_left(metered: Ports) -> None:
    ada = Viewer(uuid4())
    await Allowance(metered, ada).begin(9_500_000)
    allowance = Allowance(metered, ada)
    await allowance.begin(None)
    with pytest.raises(RateLimited):
        await allowance.finish(1_000_000)
    await allowance.abandon(1_000_000)
    assert await left(metered, ada) <= 500_000


async def test_an_upload_of_nothing_is_always_allowed(metered: Ports) -> None:
    ada = Viewer(uuid4())
    await Allowance(metered, ada).begin(10_000_000)
    await Allowance(metered, ada).begin(0)


async def test_users_are_counted_apart(metered: Ports) -> None:
    await Allowance(metered, Viewer(uuid4())).begin(10_000_000)
    await Allowance(metered, Viewer(uuid4())).begin(10_000_000)


async def test_fifty_at_once_take_no_more_than_there_is(metered: Ports) -> None:
    ada = Viewer(uuid4())
    outcomes = await asyncio.gather(
        *(Allowance(metered, ada).begin(1_000_000) for _ in range(50)), return_exceptions=True
    )
    assert outcomes.count(None) == 10
