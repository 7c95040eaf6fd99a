"""A real SMTP server for tests, and what it was sent: accepting, refusing, slow, with STARTTLS, TLS and passwords."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.machine import free_port, wait_for

USER, PASSWORD = "cairn", "p@ss/word %"
START_SECONDS = 10


@dataclass(slots=True)
class Delivery:
    """One mail that was accepted."""

    sender: str
    recipients: list[str]
    mail: EmailMessage
    session: Session

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.mail.get_body((kind,))
        assert part
        return str(part.get_content())


@dataclass(slots=True)
class Mailbox:
    """What came in, in order; and how the server behaves, which a test may change at any time.

    `answers` gives the answer to a recipient, `data_answer` that to a mail, which is waited with for `slow_seconds`.
    """

    port: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 OK"
    slow_seconds: float = 0
    goodbye_seconds: float = 0
    deliveries: list[Delivery] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """For CAIRN_SMTP_URL; this server knows no TLS."""
        return f"smtp://127.0.0.1:{self.port}?starttls=never"

    def next(self, count: int = 1, seconds: float = 20) -> Delivery:
        """The mail that makes it `count`; blocks until it has come."""
        assert wait_for(lambda: len(self.deliveries) >= count, seconds), "no mail came"
        return self.deliveries[count - 1]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's hook
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.tries.append(address)
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.slow_seconds)
        if self.data_answer.startswith("250"):
            mail = message_from_bytes(cast("bytes", envelope.content), policy=policy.SMTP)
            self.deliveries.append(Delivery(str(envelope.mail_from), list(envelope.rcpt_tos), mail, session))
        return self.data_answer

    async def handle_QUIT(self, *_: object) -> str:  # noqa: N802
        await asyncio.sleep(self.goodbye_seconds)
        return "221 Bye"


@contextmanager
def receiving(**server: Any) -> Iterator[Mailbox]:
    """A server in a thread of its own; what it is given goes to aiosmtpd's Controller."""
    mailbox = Mailbox(port=free_port())
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, ready_timeout=START_SECONDS, **server)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


def authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, credentials: LoginPassword
) -> AuthResult:
    """Let in who knows the password."""
    known = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=mechanism in {"LOGIN", "PLAIN"} and credentials == known, handled=False)


def certify(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server at 127.0.0.1 proves itself with, and what a client that trusts it believes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cairn tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(time.time_ns())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    chain = folder / "mail.pem"
    chain.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(chain)
    return server, ssl.create_default_context(cafile=str(chain))
