"""Stream tickets: what a browser's EventSource signs in with, since it can send no header."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from db import sessions, stream_tickets
from db.engine import Database, Transaction
from db.models import StreamTicket, UserRole
from domain.errors import BadCredential, ExpiredCredential, NotSignedIn
from domain.opaque_tokens import draw_token, hash_of
from domain.ports import Ports
from domain.viewer import Viewer

LIFETIME = timedelta(seconds=60)
"""How long a ticket may wait for its stream. It stands in a URL, which others may come to see."""


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket as it is handed out."""

    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StreamPass:
    """What a ticket was good for: a stream of a session, until then at the longest."""

    session_id: UUID
    ends_at: datetime


async def create_ticket(tx: Transaction, ports: Ports, viewer: Viewer) -> NewTicket:
    """A ticket for one stream of the session that asks. Raises NotSignedIn and NotForKeys."""
    viewer.refuse_keys()
    if viewer.session_id is None:
        raise NotSignedIn
    now, token = ports.clock.now(), draw_token(ports.randomness)
    ticket = StreamTicket(
        token_hash=token.hash, session_id=viewer.session_id, created_at=now, expires_at=now + LIFETIME
    )
    await tx.add(ticket)
    return NewTicket(token.text, ticket.expires_at)


async def redeem(db: Database, ports: Ports, ticket: str) -> StreamPass:
    """Use a ticket up. The stream may last as long as an access token would. Raises BadCredential."""
    token_hash, now = hash_of(ticket), ports.clock.now()
    if token_hash is None:
        raise _not_good()
    async with db.transaction() as tx:
        session_id = await stream_tickets.use(tx, token_hash, now)
    if session_id is None:
        raise _not_good()
    return StreamPass(session_id, now + ports.tokens.lifetime)


async def viewer_of_pass(db: Database, ports: Ports, stream_pass: StreamPass) -> Viewer:
    """Who reads the stream, asked anew each time. Raises ExpiredCredential."""
    now = ports.clock.now()
    live = await db.ask(sessions.live, stream_pass.session_id)
    if live is None or live.expires_at <= now or stream_pass.ends_at <= now:
        raise ExpiredCredential(message="The session of this stream has ended, or the stream's time is over.")
    return Viewer(live.user_id, UserRole(live.role), stream_pass.session_id)


async def sweep(db: Database, now: datetime) -> None:
    """Remove tickets that nobody used in time."""
    async with db.transaction() as tx:
        await stream_tickets.forget_ended(tx, now)


def _not_good() -> BadCredential:
    return BadCredential(message="The ticket is not valid, no longer valid, or was used.")
