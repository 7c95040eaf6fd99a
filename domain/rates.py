"""Rates: what is counted for whom, and the refusal of whoever asks for too much.

What is counted for an address is counted for its neighbourhood. Without an address, and without a rate, nothing is.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import NamedTuple
from uuid import UUID

from db.rates import Charge, Rate
from domain.errors import RateLimited
from domain.events import RequestFacts
from domain.policy import Limit
from domain.ports import Ports
from domain.viewer import Viewer

IPV6_PREFIX_BITS = 64
"""What a subscriber is given at least: counting single addresses would count nothing."""

PIECE_BYTES = 1 << 20
"""Of an upload that did not declare its size, so much may come before it is counted."""

_SENTENCES = {
    Limit.REQUESTS_PER_ADDRESS: "Too many requests come from this address",
    Limit.REQUESTS_PER_USER: "This user sends too many requests",
    Limit.REQUESTS_PER_KEY: "This API key sends too many requests",
    Limit.COST_PER_ADDRESS: "The queries that come from this address cost too much",
    Limit.COST_PER_USER: "The queries of this user cost too much",
    Limit.UPLOADED_BYTES_PER_USER: "This user uploads too many bytes",
    Limit.LOGINS_PER_ADDRESS: "There are too many attempts to sign in",
    Limit.LOGINS_PER_ACCOUNT: "There are too many attempts to sign in",
    Limit.SIGNUPS_PER_ADDRESS: "Too many accounts are asked for from this address",
    Limit.MAILS_PER_ADDRESS: "Too many mails are asked for",
    Limit.MAILS_PER_ACCOUNT: "Too many mails are asked for",
}
_GROWING = frozenset({Limit.LOGINS_PER_ADDRESS, Limit.LOGINS_PER_ACCOUNT})


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands with a limit: what it allows in its window, what is left, and when all of it is back."""

    limit: Limit
    rate: Rate
    remaining: int
    reset_seconds: int


class Counted(NamedTuple):
    """A charge to a limit."""

    limit: Limit
    charge: Charge


async def count_request(ports: Ports, facts: RequestFacts) -> Sequence[Standing]:
    """A request from an address, whoever sends it. Raises RateLimited."""
    return await _take(ports, _for_address(ports, Limit.REQUESTS_PER_ADDRESS, facts))


async def count_user_request(ports: Ports, viewer: Viewer) -> Sequence[Standing]:
    """A request of a user, and of the API key that it comes by. Raises RateLimited."""
    counted = _for_user(ports, Limit.REQUESTS_PER_USER, viewer.user_id)
    return await _take(ports, counted + _for_key(ports, viewer))


async def count_cost(ports: Ports, viewer: Viewer, facts: RequestFacts, cost: int) -> Sequence[Standing]:
    """What an operation costs: its user, or else the address. Raises RateLimited."""
    if viewer.user_id is not None:
        return await _take(ports, _for_user(ports, Limit.COST_PER_USER, viewer.user_id, cost))
    return await _take(ports, _for_address(ports, Limit.COST_PER_ADDRESS, facts, cost))


async def count_signup(ports: Ports, facts: RequestFacts) -> None:
    """An attempt to make an account, which tells whether names are taken. Raises RateLimited."""
    await _take(ports, _for_address(ports, Limit.SIGNUPS_PER_ADDRESS, facts))


async def count_mail(ports: Ports, account: str, facts: RequestFacts) -> None:
    """A mail that somebody wants sent to an account, by its id or folded email. Raises RateLimited.

    Whether there is such an account makes no difference, so that the answer does not tell.
    """
    counted = _for_address(ports, Limit.MAILS_PER_ADDRESS, facts)
    await _take(ports, counted + _counted(ports, Limit.MAILS_PER_ACCOUNT, _digest(account)))


async def count_guess(ports: Ports, account: str | None, facts: RequestFacts, *, is_known: bool) -> list[Counted]:
    """An attempt to sign in to an account, by its folded name; None: by a name that no account can have.

    From a device that the account knows, attempts count for the two together; all others for the account and for the
    address, so that strangers can keep only strangers out. Raises RateLimited: the delays grow with each attempt.
    """
    who = None if account is None else _digest(account)
    place = neighbourhood(facts.address)
    if is_known and who and place:
        counted = _counted(ports, Limit.LOGINS_PER_ACCOUNT, f"{who}@{place}")
    else:
        counted = _for_address(ports, Limit.LOGINS_PER_ADDRESS, facts)
        counted += _counted(ports, Limit.LOGINS_PER_ACCOUNT, who)
    await _take(ports, counted)
    return counted


async def give_back(ports: Ports, counted: Sequence[Counted]) -> None:
    """Undo what was counted: an attempt that was right was no guess. Those before it still count."""
    if counted:
        await ports.limiter.give_back([each.charge for each in counted])


class Allowance:
    """What one upload may bring of its user's bytes: judged by what is declared, counted by what comes.

    Sizes are in bytes, of the whole upload so far. Whatever is called last settles the account.
    """

    def __init__(self, ports: Ports, viewer: Viewer) -> None:
        self._ports = ports
        self._viewer = viewer
        self._taken = 0

    async def begin(self, declared_size: int | None) -> None:
        """Take what is declared, or see whether anything is left. Raises RateLimited."""
        await self._take_up_to(1 if declared_size is None else declared_size)

    async def grow(self, size: int) -> None:
        """More bytes came; they are counted a piece at a time. Raises RateLimited."""
        if size >= self._taken + PIECE_BYTES:
            await self._take_up_to(size)

    async def finish(self, size: int) -> None:
        """All bytes came. Raises RateLimited."""
        await self._take_up_to(size)
        await self._give_back_down_to(size)

    async def abandon(self, size: int) -> None:
        """No more bytes will come; those that did count all the same."""
        with suppress(RateLimited):
            await self.finish(size)

    async def _take_up_to(self, size: int) -> None:
        if size > self._taken:
            await _take(self._ports, self._counted(size - self._taken))
            self._taken = size

    async def _give_back_down_to(self, size: int) -> None:
        if size < self._taken:
            await give_back(self._ports, self._counted(self._taken - size))
            self._taken = size

    def _counted(self, size: int) -> list[Counted]:
        return _for_user(self._ports, Limit.UPLOADED_BYTES_PER_USER, self._viewer.user_id, size)


@lru_cache(maxsize=4096)
def neighbourhood(address: str | None) -> str | None:
    """Those whom limits count as one: an IPv4 address, or the /64 that an IPv6 address lies in; None is nobody."""
    if address is None:
        return None
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        host_bits = parsed.max_prefixlen - IPV6_PREFIX_BITS
        return f"{IPv6Address(int(parsed) >> host_bits << host_bits)}/{IPV6_PREFIX_BITS}"
    return str(parsed)


async def _take(ports: Ports, counted: Sequence[Counted]) -> list[Standing]:
    if not counted:
        return []
    standings = await ports.limiter.take([each.charge for each in counted])
    pairs = list(zip(counted, standings, strict=True))
    each, worst = max(pairs, key=lambda pair: pair[1].wait_seconds)
    if worst.wait_seconds:
        raise _limited(each.limit, each.charge.rate, max(1, _whole(worst.wait_seconds)))
    return [
        Standing(each.limit, each.charge.rate, standing.remaining, _whole(standing.reset_seconds))
        for each, standing in pairs
    ]


def _whole(seconds: float) -> int:
    # What a clock's fractions add is no second: 76.09 and 180 less 76.09 is a little more than 180.
    return ceil(round(seconds, 6))


def _limited(limit: Limit, rate: Rate, seconds: int) -> RateLimited:
    allowed = f"{rate.amount} in {rate.seconds} seconds are allowed"
    return RateLimited(
        message=f"{_SENTENCES[limit]}: {allowed}. Try again in {seconds} seconds.",
        policy=limit,
        limit=rate.amount,
        window_seconds=rate.seconds,
        retry_after_seconds=seconds,
    )


def _for_address(ports: Ports, limit: Limit, facts: RequestFacts, weight: int = 1) -> list[Counted]:
    return _counted(ports, limit, neighbourhood(facts.address), weight)


def _for_user(ports: Ports, limit: Limit, user_id: UUID | None, weight: int = 1) -> list[Counted]:
    return _counted(ports, limit, user_id.hex if user_id else None, weight)


def _for_key(ports: Ports, viewer: Viewer) -> list[Counted]:
    return _counted(ports, Limit.REQUESTS_PER_KEY, viewer.api_key_id.hex if viewer.api_key_id else None)


def _counted(ports: Ports, limit: Limit, who: str | None, weight: int = 1) -> list[Counted]:
    rate = ports.rates.get(limit)
    if rate is None or who is None:
        return []
    return [Counted(limit, Charge(f"{limit}:{who}", rate, weight, is_growing=limit in _GROWING))]


def _digest(account: str) -> str:
    """Who the account is, in a store that others may look into."""
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()
