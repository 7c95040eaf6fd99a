"""Verified emails: whoever signs up proves by a mail that the address is theirs. Nothing waits for it."""

from db import users
from db.engine import Database, Transaction
from db.models import MailTokenPurpose
from db.rows import UserRow
from domain import mail_tokens
from domain.emails import fold_email
from domain.errors import BadCredential
from domain.events import EventKind, RequestFacts, Subject, event
from domain.mails import Addressee, enqueue_mail, verification_mail
from domain.ports import Ports
from domain.rates import count_mail
from domain.scopes import Scope
from domain.users import hold_own
from domain.viewer import Viewer


async def send(tx: Transaction, ports: Ports, user: UserRow) -> None:
    """Have a user asked to prove the address; the user has to be new or locked already."""
    token = await mail_tokens.issue(tx, ports, user, MailTokenPurpose.VERIFY_EMAIL, user.email)
    message = verification_mail(ports.public_url, Addressee(user.email, user.username), token)
    await enqueue_mail(tx, ports, message)


async def count_resending(db: Database, ports: Ports, viewer: Viewer, facts: RequestFacts) -> None:
    """Count the mail that another verification would be. Raises NotSignedIn, BadCredential and RateLimited."""
    async with db.reading() as rows:
        found = await users.by_ids(rows, [viewer.required(Scope.ACCOUNT_WRITE)])
    if not found:
        raise BadCredential
    await count_mail(ports, fold_email(found[0].email), facts)


async def resend(tx: Transaction, ports: Ports, viewer: Viewer) -> UserRow:
    """Have the viewer asked once more, unless the address is verified. Raises NotSignedIn and BadCredential."""
    user = await hold_own(tx, viewer)
    if user.email_verified_at is None:
        await send(tx, ports, user)
    return user


async def verify(tx: Transaction, ports: Ports, token: str, facts: RequestFacts) -> UserRow:
    """Take the proof that came by mail, from whoever has it. Raises MailTokenInvalid."""
    now = ports.clock.now()
    # An address that was changed meanwhile has ended the token: what it was sent to is the user's address still.
    user = (await mail_tokens.use(tx, ports, MailTokenPurpose.VERIFY_EMAIL, token)).user
    await users.set_email_verified(tx, user.id, now)
    await tx.add(event(EventKind.EMAIL_VERIFIED, Subject(user.id, target_id=user.id), facts, now))
    return user._replace(email_verified_at=user.email_verified_at or now)
