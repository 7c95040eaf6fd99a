"""Devices that a user has signed in from, so that strangers who guess the password do not keep the owner out.

A device is known by where it is: cookies are never read. What was not signed in from for 90 days is unknown again.
"""

from datetime import datetime, timedelta
from uuid import UUID

from db import devices
from db.engine import Database, Transaction
from domain.events import RequestFacts
from domain.ports import Ports
from domain.rates import Counted, count_guess, neighbourhood

KEPT = timedelta(days=90)


async def count_login(db: Database, ports: Ports, account: str | None, facts: RequestFacts) -> list[Counted]:
    """An attempt to sign in to an account, by its folded name; None: by one that no account can have.

    Judged before the account is looked at, so that it makes no difference whether there is one. Raises RateLimited.
    """
    place = neighbourhood(facts.address)
    is_known = False
    if account is not None and place is not None:
        async with db.reading() as rows:
            is_known = await devices.is_known(rows, account, place, ports.clock.now() - KEPT)
    return await count_guess(ports, account, facts, is_known=is_known)


async def remember(tx: Transaction, user_id: UUID, facts: RequestFacts, now: datetime) -> None:
    """The user has signed in from there, in this transaction, which has written the user's row."""
    place = neighbourhood(facts.address)
    if place is not None:
        await devices.forget(tx, user_id, now - KEPT)
        await devices.remember(tx, user_id, place, now)
