"""Mail out of the service: to an SMTP server, to the log in development, or nowhere. The only doorway of aiosmtplib.

What a server says is never passed on but for its codes: refusals quote the mail, and the mail holds a token.
"""

import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from api.formats import MailSender, SmtpServer, mail_sender, smtp_server
from api.logs import get_logger
from api.settings import Settings
from domain.mail_messages import MailDelayed, MailMessage, MailRefused
from domain.ports import Clock, Mailer

PERMANENT = 500
QUIT_SECONDS = 2
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")  # RFC 3463

_log = get_logger(__name__)


def mailer_of(settings: Settings, clock: Clock) -> Mailer:
    """How these settings have mail sent."""
    if settings.smtp_url is not None:
        server, sender = smtp_server(settings.smtp_url), mail_sender(settings.mail_from)
        return SmtpMailer(server, sender, clock, settings.smtp_timeout_seconds)
    return NoMailer() if settings.environment == "production" else LogMailer()


def warn_if_off(settings: Settings) -> None:
    """Tell the operator, once, that nobody will get mail."""
    if settings.smtp_url is None and settings.environment == "production":
        _log.warning("mail is off: nobody can verify an address or reset a password", missing="CAIRN_SMTP_URL")


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """Hands mails to a server, each over a connection of its own, within `timeout_seconds` for each answer.

    A recipient or a content that is refused for good will be so again; everything else may be better next time, since
    a wrong password or sender is the operator's to mend.
    """

    server: SmtpServer
    sender: MailSender
    clock: Clock
    timeout_seconds: float
    tls: ssl.SSLContext | None = None

    async def send(self, message: MailMessage) -> None:
        """Send it. Raises MailDelayed and MailRefused."""
        try:
            await self._send(message)
        except (SMTPRecipientsRefused, SMTPDataError) as fault:
            answer = fault.recipients[0] if isinstance(fault, SMTPRecipientsRefused) else fault
            refusal = MailRefused if answer.code >= PERMANENT else MailDelayed
            raise refusal(_codes(answer)) from None
        except SMTPResponseException as fault:
            raise MailDelayed(f"{type(fault).__name__}: {_codes(fault)}") from None
        except (SMTPException, OSError) as fault:
            raise MailDelayed(type(fault).__name__) from None

    async def _send(self, message: MailMessage) -> None:
        connection = SMTP(
            hostname=self.server.host,
            port=self.server.port,
            username=self.server.username,
            password=self.server.password,
            use_tls=self.server.security == "tls",
            start_tls=self.server.security == "starttls",
            tls_context=self.tls,
            timeout=self.timeout_seconds,
            local_hostname=self.sender.address.rpartition("@")[2],
        )
        try:
            await connection.connect()
            await self._hand_over(connection, message)
            with suppress(SMTPException, OSError, TimeoutError):
                await connection.quit(timeout=QUIT_SECONDS)
        finally:
            connection.close()

    async def _hand_over(self, connection: SMTP, message: MailMessage) -> None:
        try:
            await connection.send_message(
                written(message, self.sender, format_datetime(self.clock.now())),
                sender=self.sender.address,
                recipients=[message.to],
            )
        except SMTPNotSupported:
            # Only such an address makes anything of what is sent here depend on what the server supports.
            raise MailRefused("the server takes no addresses outside ASCII") from None


class LogMailer:
    """Writes mails to the log, tokens and all, for development alone: nothing else ever logs a token."""

    async def send(self, message: MailMessage) -> None:
        """Log it."""
        _log.info("mail", to=message.to, subject=message.subject, text=message.text)


class NoMailer:
    """Drops mails, and says so: better than keeping tokens that nobody will ever be sent."""

    async def send(self, message: MailMessage) -> None:
        """Drop it."""
        _log.warning("mail is off, so one was dropped", mail=message.id)


def written(message: MailMessage, sender: MailSender, date: str) -> EmailMessage:
    """The mail as it goes over the wire: as text and as HTML. Source: RFC 5322, RFC 2046, RFC 3834."""
    mail = EmailMessage(SMTP_POLICY)
    mail["Message-ID"] = f"<{message.id}@{sender.address.rpartition('@')[2]}>"
    mail["Date"] = date
    mail["From"] = Address(sender.name, addr_spec=sender.address)
    mail["To"] = message.to
    mail["Subject"] = message.subject
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def _codes(answer: SMTPResponseException) -> str:
    enhanced = _ENHANCED.match(answer.message)
    return f"{answer.code} {enhanced[0]}" if enhanced else str(answer.code)
