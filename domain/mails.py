"""The mails that the service sends: what each says, and the job that sends it.

A link leads to the service's own page and carries its token in the fragment, which browsers keep to themselves: it is
in no log of a server or proxy, and in no `Referer`. Whoever has no such page pastes the token.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from db.engine import Transaction
from db.rows import JobRow
from domain.emails import mailbox
from domain.jobs import NewJob, enqueue
from domain.letters import Letter, MailToken, Request, html_of, one_line, text_of
from domain.mail_messages import MailMessage
from domain.ports import Ports

MAIL_JOB = "mail.send"
NAME_CHARACTERS = 60
VERIFY_EMAIL = "verify-email"
RESET_PASSWORD = "reset-password"  # noqa: S105 - the name of a page
CONFIRM_EMAIL = "confirm-email"
ACCEPT_INVITATION = "accept-invitation"


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a mail is for: where it goes, and the name it greets."""

    email: str
    username: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who asks whom into which workspace, and as what."""

    email: str
    inviter: str
    workspace: str
    role: str


def verification_mail(public_url: str, to: Addressee, token: MailToken) -> MailMessage:
    """Asks whoever signed up to prove that the address is theirs."""
    letter = Letter(
        title="Verify your email",
        greeting=_greeting(to),
        before=("you gave this address when you signed up. Say that it is yours:",),
        request=_request(public_url, VERIFY_EMAIL, "Verify this address", token),
        after=("Was it not you? Then there is nothing to do.",),
        signature=_signature(public_url),
    )
    return _message(to.email, letter)


def password_reset_mail(public_url: str, to: Addressee, token: MailToken) -> MailMessage:
    """Lets whoever forgot a password choose another."""
    letter = Letter(
        title="Reset your password",
        greeting=_greeting(to),
        before=("somebody asked for a new password for your account. If it was you, choose one:",),
        request=_request(public_url, RESET_PASSWORD, "Choose a new password", token),
        after=("Was it not you? Then there is nothing to do, and your password stays as it is.",),
        signature=_signature(public_url),
    )
    return _message(to.email, letter)


def email_confirmation_mail(public_url: str, to: Addressee, token: MailToken) -> MailMessage:
    """Asks at the new address whether an account's email is to be changed to it."""
    letter = Letter(
        title="Confirm your new email",
        greeting=_greeting(to),
        before=("this is to become the address of your account. Say that it is yours:",),
        request=_request(public_url, CONFIRM_EMAIL, "Confirm this address", token),
        after=("Was it not you? Then there is nothing to do.",),
        signature=_signature(public_url),
    )
    return _message(to.email, letter)


def email_change_mail(public_url: str, to: Addressee) -> MailMessage:
    """Tells the old address that an account's email is being changed."""
    letter = Letter(
        title="Your email is being changed",
        greeting=_greeting(to),
        before=("somebody asked for another address for your account. It changes as soon as that one is confirmed.",),
        request=None,
        after=("Was it not you? Then change your password now, which signs out everybody else.",),
        signature=_signature(public_url),
    )
    return _message(to.email, letter)


def email_taken_mail(public_url: str, to: Addressee) -> MailMessage:
    """Tells whoever has an address that it was to become that of another account."""
    letter = Letter(
        title="Your email is in use already",
        greeting=_greeting(to),
        before=("somebody asked to make this the address of another account. It is yours, so nothing changes.",),
        request=None,
        after=("Was it you? Then sign in with this address, or ask for a new password for it.",),
        signature=_signature(public_url),
    )
    return _message(to.email, letter)


def password_changed_mail(public_url: str, to: Addressee, changed_at: datetime) -> MailMessage:
    """Tells that an account has another password since `changed_at`, which is in UTC."""
    letter = Letter(
        title="Your password was changed",
        greeting=_greeting(to),
        before=(f"the password of your account was changed on {changed_at:%Y-%m-%d} at {changed_at:%H:%M} UTC.",),
        request=None,
        after=("Was it not you? Then ask for a new password at once, and tell whoever runs the service.",),
        signature=_signature(public_url),
    )
    return _message(to.email, letter)


def invitation_mail(public_url: str, invitation: Invitation, token: MailToken) -> MailMessage:
    """Asks somebody, who may have an account or not, into a workspace."""
    inviter, workspace, role = (
        one_line(each, NAME_CHARACTERS) for each in (invitation.inviter, invitation.workspace, invitation.role)
    )
    letter = Letter(
        title=f"Invitation to the workspace “{workspace}”",
        greeting="Hello,",
        before=(
            f"{inviter} invites you to the workspace “{workspace}”, as {role.lower()}.",
            "Sign in or sign up with this address, and accept:",
        ),
        request=_request(public_url, ACCEPT_INVITATION, "Accept the invitation", token),
        after=("Do you know nobody of this name? Then there is nothing to do.",),
        signature=_signature(public_url),
    )
    return _message(invitation.email, letter)


async def enqueue_mail(tx: Transaction, ports: Ports, message: MailMessage) -> None:
    """Have a mail sent once this transaction is committed."""
    await enqueue(tx, NewJob(MAIL_JOB, message.payload(), ports.clock.now()))


async def send_mail(ports: Ports, job: JobRow) -> None:
    """Do a job of the kind `mail.send`. Raises MailDelayed and MailRefused."""
    await ports.mailer.send(MailMessage.of(job.payload or {}))


def _greeting(to: Addressee) -> str:
    return f"Hello {one_line(to.username, NAME_CHARACTERS)},"


def _request(public_url: str, page: str, label: str, token: MailToken) -> Request:
    return Request(label, f"{public_url}/#{page}={quote(token.text, safe='')}", token)


def _signature(public_url: str) -> str:
    return f"Cairn at {public_url}"


def _message(email: str, letter: Letter) -> MailMessage:
    return MailMessage(mailbox(email), letter.title, text_of(letter), html_of(letter))
