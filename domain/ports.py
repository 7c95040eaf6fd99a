"""What the rules need from outside, as protocols; the edge implements them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from db.rates import Charge, Standing
from domain.mail_messages import MailMessage
from domain.passwords import Verification
from domain.policy import (
    KeyPolicy,
    MailTokenLifetimes,
    Rates,
    SessionPolicy,
    UploadPolicy,
    UploadSessionPolicy,
    WorkspacePolicy,
)
from domain.signatures import Signer
from domain.tokens import TokenIssuer


class Clock(Protocol):
    """The present."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        ...


class Hasher(Protocol):
    """Passwords into hashes, away from the event loop. Raises Unavailable when too many wait.

    `asker` tells apart who asks, so that nobody takes all the room.
    """

    async def hash(self, password: str, asker: str | None = None) -> str:
        """A hash under the current scheme."""
        ...

    async def verify(self, password: str, hashed: str | None, asker: str | None = None) -> Verification:
        """Compare; None costs as much as a wrong password."""
        ...


class Randomness(Protocol):
    """What nobody can guess."""

    def draw(self, count: int) -> bytes:
        """So many random bytes, fit for secrets."""
        ...


class Mailer(Protocol):
    """Mail on its way out."""

    async def send(self, message: MailMessage) -> None:
        """Hand a mail over to whoever delivers it. Raises MailDelayed and MailRefused.

        The same mail may be sent again, since nobody knows whether one that was cut off arrived.
        """
        ...


@dataclass(frozen=True, slots=True)
class Unsealed:
    """A secret that was sealed, and whether it should be sealed anew."""

    secret: bytes
    is_outdated: bool


class Sealer(Protocol):
    """Secrets that have to be read again, so that whoever has the database alone cannot read them."""

    def seal(self, secret: bytes, owner: bytes) -> str:
        """The secret as it may be kept; it opens for this owner alone."""
        ...

    def unseal(self, sealed: str, owner: bytes) -> Unsealed:
        """What was sealed for this owner."""
        ...


class Limiter(Protocol):
    """Counts what is taken from rates. Never raises: what it counts in may be lost, and counting begins anew."""

    async def take(self, charges: Sequence[Charge]) -> Sequence[Standing]:
        """Take all of the charges or none of them; how each stands, in order."""
        ...

    async def give_back(self, charges: Sequence[Charge]) -> None:
        """Undo charges that were taken."""
        ...


class Meter(Protocol):
    """Counts what happens, for those who run the service. Never raises."""

    def upload_ended(self, transport: str, end: str) -> None:
        """An upload that came by this transport has ended in this state."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the rules need from outside."""

    clock: Clock
    randomness: Randomness
    hasher: Hasher
    mailer: Mailer
    sealer: Sealer
    tokens: TokenIssuer
    signer: Signer
    policy: UploadPolicy
    workspace_policy: WorkspacePolicy
    upload_sessions: UploadSessionPolicy
    session_policy: SessionPolicy
    key_policy: KeyPolicy
    mail_token_lifetimes: MailTokenLifetimes
    limiter: Limiter
    rates: Rates
    meter: Meter
    public_url: str
    store_name: str
