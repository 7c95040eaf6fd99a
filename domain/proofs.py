"""Proofs: the password of somebody who is signed in, asked again before what a stolen access token must not do."""

from dataclasses import dataclass

from db import users
from db.engine import Database, Transaction
from db.rows import CredentialsRow
from domain.errors import Unavailable, WrongPassword
from domain.events import EventKind, RequestFacts, Subject, event
from domain.ports import Ports
from domain.rates import count_guess, give_back, neighbourhood
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Proof:
    """A password that has been compared with the viewer's own: None where there is no account any more."""

    credentials: CredentialsRow | None
    is_right: bool


async def compare_own(db: Database, ports: Ports, viewer: Viewer, password: str, facts: RequestFacts) -> Proof:
    """Compare a password with the viewer's own.

    Guesses count for the session, so that whoever has stolen one does not keep its owner from another password, and
    for the address. Raises NotSignedIn, NotForKeys, and RateLimited after too many guesses.
    """
    user_id = viewer.in_person()
    counted = await count_guess(ports, f"password of {user_id.hex} by {viewer.session_id}", facts, is_known=False)
    async with db.reading() as rows:
        credentials = await users.credentials_of(rows, user_id)
    asker = neighbourhood(facts.address)
    try:
        verification = await ports.hasher.verify(password, credentials and credentials.password_hash, asker)
    except Unavailable:
        await give_back(ports, counted)  # what was not compared was no guess
        raise
    if verification.is_right:
        await give_back(ports, counted)
    return Proof(credentials, verification.is_right)


async def accept(
    tx: Transaction, ports: Ports, viewer: Viewer, proof: Proof, facts: RequestFacts
) -> WrongPassword | None:
    """Take a proof, with the user locked until the transaction ends; None when it is good.

    The refusal is returned, not raised, because the failed attempt is recorded. So is that of a password which was
    changed since it was compared.
    """
    compared = proof.credentials
    if compared is not None and proof.is_right and await users.hold(tx, compared):
        return None
    failed = event(
        EventKind.REAUTHENTICATION_FAILED, Subject(viewer.user_id, target_id=viewer.user_id), facts, ports.clock.now()
    )
    await tx.add(failed)
    return WrongPassword(message="This is not your password.", path=("password",))
