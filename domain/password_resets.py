"""Another password for whoever forgot it, by a mail to the account's address.

Whether there is an account is asked by a job: the request writes the same row for every address, and its answer cannot
tell, not even by the time that it takes.
"""

from dataclasses import dataclass

from db import api_keys, two_factor, users
from db.engine import Database, Transaction
from db.models import MailTokenPurpose
from db.rows import JobRow, UserRow
from domain import mail_tokens
from domain.emails import fold_email
from domain.events import EventKind, RequestFacts, Subject, event
from domain.jobs import NewJob, enqueue
from domain.mails import Addressee, enqueue_mail, password_reset_mail
from domain.password_changes import judge_password, renew
from domain.ports import Ports
from domain.rates import count_mail, neighbourhood

RESET_JOB = "password_reset.send"


@dataclass(frozen=True, slots=True)
class NewPassword:
    """The token of a mail as text, and a password as typed."""

    token: str
    password: str


@dataclass(frozen=True, slots=True)
class PasswordReset:
    """The token of a mail as text, and the hash of a password that was judged."""

    token: str
    password_hash: str


async def count_request(ports: Ports, email: str, facts: RequestFacts) -> None:
    """Count the mail that a reset would be, whether or not there is an account. Raises InvalidInput, RateLimited."""
    await count_mail(ports, fold_email(email), facts)


async def request_reset(tx: Transaction, ports: Ports, email: str, facts: RequestFacts) -> None:
    """Have whoever has this email sent a token, if there is anybody. Raises InvalidInput."""
    asked = {"email": fold_email(email), "requestId": facts.request_id, "address": facts.address}
    await enqueue(tx, NewJob(RESET_JOB, asked, ports.clock.now()))


async def send_reset(db: Database, ports: Ports, job: JobRow) -> None:
    """Do a job of the kind `password_reset.send`. Twice gives a second mail, whose token ends that of the first."""
    asked = job.payload or {}
    facts = RequestFacts(asked["requestId"], asked["address"])
    async with db.transaction() as tx:
        user = await users.hold_by_email(tx, asked["email"])
        subject = Subject(target_id=user and user.id)
        await tx.add(event(EventKind.PASSWORD_RESET_REQUESTED, subject, facts, ports.clock.now()))
        if user is not None:
            token = await mail_tokens.issue(tx, ports, user, MailTokenPurpose.RESET_PASSWORD, user.email)
            message = password_reset_mail(ports.public_url, Addressee(user.email, user.username), token)
            await enqueue_mail(tx, ports, message)


async def prepare(db: Database, ports: Ports, given: NewPassword, facts: RequestFacts) -> PasswordReset:
    """Judge a new password and hash it; the token stays good. Raises MailTokenInvalid and PasswordTooWeak."""
    async with db.reading() as rows:
        user = await mail_tokens.holder(rows, ports, MailTokenPurpose.RESET_PASSWORD, given.token)
    judge_password(given.password, user, "password")
    return PasswordReset(given.token, await ports.hasher.hash(given.password, neighbourhood(facts.address)))


async def reset_password(tx: Transaction, ports: Ports, reset: PasswordReset, facts: RequestFacts) -> UserRow:
    """Use the token up, give its user the new password, and end all sessions. The second factor stays on.

    Whoever has the token reads the mail of the address: it is verified as well. If it never was before, somebody else
    may have signed up with it: what would outlast the old password ends too, keys and the second factor. Raises
    MailTokenInvalid.
    """
    now = ports.clock.now()
    user = (await mail_tokens.use(tx, ports, MailTokenPurpose.RESET_PASSWORD, reset.token)).user
    await renew(tx, ports, user, reset.password_hash)
    if user.email_verified_at is None:
        await users.set_email_verified(tx, user.id, now)
        await api_keys.revoke_all(tx, user.id, now)
        await two_factor.remove(tx, user.id)
    await tx.add(event(EventKind.PASSWORD_RESET, Subject(user.id, target_id=user.id), facts, now))
    return user._replace(email_verified_at=user.email_verified_at or now)
