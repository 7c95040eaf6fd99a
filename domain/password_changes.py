"""Another password for whoever knows the one before. It ends what somebody else may have got by that one."""

from dataclasses import dataclass, replace
from uuid import UUID

from db import mail_tokens, sessions, users
from db.engine import Database, Transaction
from db.models import MailTokenPurpose
from db.rows import UserRow
from domain import passwords, proofs
from domain.errors import BadCredential, PasswordTooWeak, WrongPassword
from domain.events import EventKind, RequestFacts, Subject, event
from domain.mails import Addressee, enqueue_mail, password_changed_mail
from domain.ports import Ports
from domain.proofs import Proof
from domain.rates import neighbourhood
from domain.topics import tell_credentials
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Passwords:
    """The password that somebody has, and the one that is wanted, as typed."""

    current: str
    new: str


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """A password that was compared, and the hash of the one that is wanted; empty after a wrong password."""

    proof: Proof
    password_hash: str


async def prepare(db: Database, ports: Ports, viewer: Viewer, given: Passwords, facts: RequestFacts) -> PasswordChange:
    """Judge the new password, compare the current one, and hash.

    Raises NotSignedIn, NotForKeys, BadCredential, PasswordTooWeak, and RateLimited after too many guesses.
    """
    async with db.reading() as rows:
        found = await users.by_ids(rows, [viewer.in_person()])
    if not found:
        raise BadCredential
    judge_password(given.new, found[0], "newPassword")
    proof = await proofs.compare_own(db, ports, viewer, given.current, facts)
    hashed = await ports.hasher.hash(given.new, neighbourhood(facts.address)) if proof.is_right else ""
    return PasswordChange(proof, hashed)


async def change_password(
    tx: Transaction, ports: Ports, viewer: Viewer, change: PasswordChange, facts: RequestFacts
) -> UserRow | WrongPassword:
    """Give the viewer the new password, and end all sessions but the one that the request comes by.

    The refusal is returned, not raised, because the failed attempt is recorded. Raises NotSignedIn and NotForKeys.
    """
    refusal = await proofs.accept(tx, ports, viewer, change.proof, facts)
    if refusal is not None:
        return replace(refusal, path=("currentPassword",))
    [user] = await users.by_ids(tx, [viewer.in_person()])
    await renew(tx, ports, user, change.password_hash, but=viewer.session_id)
    subject = Subject(user.id, target_id=user.id)
    await tx.add(event(EventKind.PASSWORD_CHANGED, subject, facts, ports.clock.now()))
    return user


async def renew(tx: Transaction, ports: Ports, user: UserRow, password_hash: str, *, but: UUID | None = None) -> None:
    """Give a user, locked already, another password, tell it by mail, and end what was got by the one before.

    That is all sessions but one, and tokens on their way: a thief may have asked for another email.
    """
    now = ports.clock.now()
    await users.set_password(tx, user.id, password_hash, now)
    await sessions.revoke_all(tx, user.id, now, but=but)
    tell_credentials(tx, user.id)
    await mail_tokens.end(tx, user.id, [MailTokenPurpose.RESET_PASSWORD, MailTokenPurpose.CONFIRM_EMAIL])
    await enqueue_mail(tx, ports, password_changed_mail(ports.public_url, Addressee(user.email, user.username), now))


def judge_password(password: str, user: UserRow, field: str) -> None:
    """Raise PasswordTooWeak unless this password is good enough for this user; `field` is where it stood."""
    reasons = passwords.weaknesses(password, user.username, user.email)
    if reasons:
        raise PasswordTooWeak(reasons=reasons, path=(field,))
