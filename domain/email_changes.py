"""Another email for an account: asked for with the password, confirmed at the new address, announced to the old one.

Nobody is told whether somebody else has the address: the answer and the work are the same, and only the mail differs,
which goes to whoever has it.
"""

from dataclasses import dataclass

from db import mail_tokens as token_rows
from db import users
from db.engine import Transaction
from db.models import MailTokenPurpose
from db.rows import UserRow
from db.violations import Duplicate
from domain import mail_tokens, proofs
from domain.emails import fold_email
from domain.errors import MailTokenInvalid, WrongPassword
from domain.events import EventKind, RequestFacts, Subject, event
from domain.letters import MailToken
from domain.mail_messages import MailMessage
from domain.mails import Addressee, email_change_mail, email_confirmation_mail, email_taken_mail, enqueue_mail
from domain.ports import Ports
from domain.proofs import Proof
from domain.rates import count_mail
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class EmailChange:
    """A password that was compared, and the email that is wanted."""

    proof: Proof
    email: str


async def count_change(ports: Ports, viewer: Viewer, email: str, facts: RequestFacts) -> None:
    """Count the mails that a change would be, to both addresses.

    Raises NotSignedIn, NotForKeys, InvalidInput and RateLimited.
    """
    user_id, email_folded = viewer.in_person(), fold_email(email)
    await count_mail(ports, user_id.hex, facts)
    await count_mail(ports, email_folded, facts)


async def request_change(
    tx: Transaction, ports: Ports, viewer: Viewer, change: EmailChange, facts: RequestFacts
) -> WrongPassword | None:
    """Ask at the new address and tell the old one; None when it is done. Raises NotSignedIn, NotForKeys."""
    refusal = await proofs.accept(tx, ports, viewer, change.proof, facts)
    if refusal is not None:
        return refusal
    [user] = await users.by_ids(tx, [viewer.in_person()])
    # Where the address is taken, there is a token all the same: nobody is sent it, and the work does not tell.
    token = await mail_tokens.issue(tx, ports, user, MailTokenPurpose.CONFIRM_EMAIL, change.email)
    owner = await users.by_email(tx, fold_email(change.email))
    await enqueue_mail(tx, ports, _asking(ports, user, change.email, (owner, token)))
    await enqueue_mail(tx, ports, email_change_mail(ports.public_url, Addressee(user.email, user.username)))
    subject = Subject(user.id, target_id=user.id)
    await tx.add(event(EventKind.EMAIL_CHANGE_REQUESTED, subject, facts, ports.clock.now()))
    return None


async def confirm(tx: Transaction, ports: Ports, token: str, facts: RequestFacts) -> UserRow:
    """Make the address that the token was sent to the user's, and verified.

    Raises MailTokenInvalid, also when somebody else has taken the address since it was asked for.
    """
    now = ports.clock.now()
    proven = await mail_tokens.use(tx, ports, MailTokenPurpose.CONFIRM_EMAIL, token)
    user, email = proven.user, proven.email
    try:
        await users.set_email(tx, user.id, (email, fold_email(email)), now)
    except Duplicate:
        raise MailTokenInvalid(path=("token",)) from None
    # What was sent to the address before must not open an account that has left it.
    await token_rows.end(tx, user.id, list(MailTokenPurpose))
    await tx.add(event(EventKind.EMAIL_CHANGED, Subject(user.id, target_id=user.id), facts, now))
    return user._replace(email=email, email_verified_at=now)


def _asking(ports: Ports, user: UserRow, email: str, found: tuple[UserRow | None, MailToken]) -> MailMessage:
    owner, token = found
    if owner is None or owner.id == user.id:
        return email_confirmation_mail(ports.public_url, Addressee(email, user.username), token)
    return email_taken_mail(ports.public_url, Addressee(owner.email, owner.username))
