import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from api.formats import mail_sender, smtp_server
from api.mail import LogMailer, NoMailer, SmtpMailer, mailer_of, warn_if_off, written
from api.settings import Settings
from domain.mail_messages import MailDelayed, MailMessage, MailRefused
from tests.machine import free_port
from tests.mailbox import PASSWORD, USER, Mailbox, authenticate, certify, receiving
from tests.records import NOW, MovableClock

SENDER = mail_sender("Cairn <files@example.org>")
MESSAGE = MailMessage("ada@example.com", "Hello, Zoë", "A link:\n\nhttps://x/#t=TOKEN\n", "<p>A link</p>\n")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receiving() as server:
        yield server


def mailer(url: str, seconds: float = 5, tls: ssl.SSLContext | None = None) -> SmtpMailer:
    return SmtpMailer(smtp_server(url), SENDER, MovableClock(), seconds, tls)


async def test_a_mail_arrives_as_text_and_as_html_with_the_head_that_programs_send(mailbox: Mailbox) -> None:
    await mailer(mailbox.url).send(MESSAGE)
    [delivery] = mailbox.deliveries
    assert (delivery.sender, delivery.recipients) == ("files@example.org", ["ada@example.com"])
    assert delivery.session.host_name == "example.org"
    assert dict(delivery.mail.items()) == {
        "Message-ID": f"<{MESSAGE.id}@example.org>",
        "Date": NOW.strftime("%a, %d %b %Y %H:%M:%S +0000"),
        "From": "Cairn <files@example.org>",
        "To": "ada@example.com",
        "Subject": "Hello, Zoë",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": delivery.mail["Content-Type"],
    }
    assert delivery.text.replace("\r\n", "\n") == MESSAGE.text
    assert delivery.html.replace("\r\n", "\n") == MESSAGE.html


async def test_many_mails_at_once_arrive_once_each(mailbox: Mailbox) -> None:
    sending = mailer(mailbox.url)
    messages = [MailMessage(f"u{number}@example.com", "s", "t", "h") for number in range(20)]
    await asyncio.gather(*(sending.send(message) for message in messages))
    assert sorted(mailbox.tries) == sorted(message.to for message in messages)
    assert len(mailbox.deliveries) == 20


@pytest.mark.parametrize(
    ("answer", "refusal", "told"),
    [
        ("550 5.1.1 nobody of that name: TOKEN", MailRefused, "550 5.1.1"),
        ("553 TOKEN", MailRefused, "553"),
        ("450 4.2.0 greylisted, TOKEN", MailDelayed, "450 4.2.0"),
        ("452 5.999999.1 TOKEN", MailDelayed, "452"),
    ],
)
async def test_what_the_server_says_decides_whether_it_is_tried_again_and_only_its_codes_are_told(
    mailbox: Mailbox, answer: str, refusal: type[Exception], told: str
) -> None:
    mailbox.answers["ada@example.com"] = answer
    with pytest.raises(refusal) as caught:
        await mailer(mailbox.url).send(MESSAGE)
    assert str(caught.value) == told
    assert caught.value.__cause__ is None
    mailbox.answers.clear()
    mailbox.data_answer = answer
    with pytest.raises(refusal) as caught:
        await mailer(mailbox.url).send(MESSAGE)
    assert str(caught.value) == told
    assert mailbox.deliveries == []


async def test_a_server_that_is_down_slow_or_no_mail_server_is_tried_again(mailbox: Mailbox) -> None:
    with pytest.raises(MailDelayed, match=r"^SMTPConnectError$"):
        await mailer(f"smtp://127.0.0.1:{free_port()}?starttls=never").send(MESSAGE)
    with pytest.raises(MailDelayed, match=r"^SMTPConnectError$"):
        await mailer("smtp://no-such-host.invalid?starttls=never").send(MESSAGE)
    mailbox.slow_seconds = 3
    with pytest.raises(MailDelayed, match=r"^SMTPReadTimeoutError$"):
        await mailer(mailbox.url, seconds=0.3).send(MESSAGE)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"smtp://127.0.0.1:{deaf.getsockname()[1]}?starttls=never"
        with pytest.raises(MailDelayed, match=r"^SMTPConnectTimeoutError$"):
            await mailer(url, seconds=0.3).send(MESSAGE)


async def test_garbage_and_a_closed_door_are_tried_again() -> None:
    for said in (
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"\xff\xfe\r\n",
        b"554 go away\r\n",
        b"220-" + b"x" * 100_000,
    ):

        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes = said) -> None:
            writer.write(said)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(MailDelayed):
                await mailer(f"smtp://127.0.0.1:{port}?starttls=never", seconds=1).send(MESSAGE)


async def test_a_mail_that_was_accepted_is_sent_even_if_the_server_never_says_goodbye(mailbox: Mailbox) -> None:
    mailbox.goodbye_seconds = 30
    async with asyncio.timeout(10):
        await mailer(mailbox.url).send(MESSAGE)
    assert len(mailbox.deliveries) == 1


async def test_nothing_is_said_before_starttls_and_a_server_without_it_gets_no_mail(
    mailbox: Mailbox, tmp_path: Path
) -> None:
    server, client = certify(tmp_path)
    with receiving(tls_context=server, require_starttls=True) as secure:
        url = f"smtp://127.0.0.1:{secure.port}"
        await mailer(url, tls=client).send(MESSAGE)
        assert secure.deliveries[0].session.ssl is not None
        with pytest.raises(MailDelayed, match=r"^SSLCertVerificationError$"):
            await mailer(url).send(MESSAGE)
        assert len(secure.deliveries) == 1, "nobody vouches for this certificate"
    with pytest.raises(MailDelayed):
        await mailer(f"smtp://127.0.0.1:{mailbox.port}", tls=client).send(MESSAGE)
    assert mailbox.tries == []


async def test_tls_from_the_start(tmp_path: Path) -> None:
    server, client = certify(tmp_path)
    with receiving(ssl_context=server) as secure:
        await mailer(f"smtps://127.0.0.1:{secure.port}", tls=client).send(MESSAGE)
        assert len(secure.deliveries) == 1


async def test_a_password_is_given_and_a_wrong_one_is_the_operators_to_mend(tmp_path: Path) -> None:
    server, client = certify(tmp_path)
    demanding = {"tls_context": server, "auth_required": True, "authenticator": authenticate}
    with receiving(**demanding) as secure:
        where = f"127.0.0.1:{secure.port}"
        await mailer(f"smtp://{USER}:{quote(PASSWORD, safe='')}@{where}", tls=client).send(MESSAGE)
        assert secure.deliveries[0].session.authenticated
        with pytest.raises(MailDelayed, match=r"^SMTPAuthenticationError: 535 5\.7\.8$"):
            await mailer(f"smtp://{USER}:wrong@{where}", tls=client).send(MESSAGE)
        with pytest.raises(MailDelayed, match=r"^SMTPSenderRefused: 530 5\.7\.0$"):
            await mailer(f"smtp://{where}", tls=client).send(MESSAGE)


async def test_addresses_outside_ascii_need_a_server_that_takes_them(mailbox: Mailbox) -> None:
    message = MailMessage("jörg@example.com", "s", "t", "h")
    await mailer(mailbox.url).send(message)
    assert mailbox.deliveries[0].recipients == ["jörg@example.com"]
    assert mailbox.deliveries[0].mail["To"] == "jörg@example.com"
    with receiving(enable_SMTPUTF8=False) as old, pytest.raises(MailRefused, match="outside ASCII"):
        await mailer(old.url).send(message)


@pytest.mark.parametrize(
    "subject",
    ["é" * 150, "a" * 150, "Bcc: x@example.org", " leading and trailing ", "=_?utf-8?q?a=0D=0ABcc:_x@y.org?="],
)
@pytest.mark.parametrize("to", ["ada@example.com", "a'b+c=d?=@example.com", "!#$%&'*+-/=`{|}~^_@example.com"])
def test_no_subject_and_no_address_can_add_to_the_head(subject: str, to: str) -> None:
    raw = written(MailMessage(to, subject, "t", "h"), mail_sender("Müller & Co, <a@b.org>"), "now").as_bytes()
    head, _, _ = raw.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in re.split(rb"\r\n(?![ \t])", head)]
    assert names == [
        b"Message-ID",
        b"Date",
        b"From",
        b"To",
        b"Subject",
        b"Auto-Submitted",
        b"MIME-Version",
        b"Content-Type",
    ]
    assert max(map(len, head.split(b"\r\n"))) <= 998
    parsed = BytesParser(policy=policy.SMTP).parsebytes(raw)
    assert parsed["Bcc"] is None
    assert [address.addr_spec for address in parsed["From"].addresses] == ["a@b.org"]
    assert [address.addr_spec for address in parsed["To"].addresses] == [to]
    assert " ".join(parsed["Subject"].split()) == " ".join(subject.split())


def made(**given: Any) -> Settings:
    production = {"secret_key": "s" * 32, "public_url": "https://x.org"}
    return Settings.model_validate(given | (production if given.get("environment") == "production" else {}))


async def test_without_a_server_mail_is_logged_in_development_and_dropped_in_production() -> None:
    with capture_logs() as lines:
        logging = mailer_of(made(), MovableClock())
        await logging.send(MESSAGE)
        warn_if_off(made())
    assert isinstance(logging, LogMailer)
    assert [(line["event"], line["text"]) for line in lines] == [("mail", MESSAGE.text)]
    with capture_logs() as lines:
        dropping = mailer_of(made(environment="production"), MovableClock())
        warn_if_off(made(environment="production"))
        await dropping.send(MESSAGE)
    assert isinstance(dropping, NoMailer)
    assert [line["log_level"] for line in lines] == ["warning", "warning"]
    assert lines[0]["event"].startswith("mail is off")
    assert "TOKEN" not in str(lines)
    assert MESSAGE.to not in str(lines)


async def test_with_a_server_both_send(mailbox: Mailbox) -> None:
    for environment in ("development", "production"):
        settings = made(environment=environment, smtp_url=mailbox.url, mail_from="a@b.org")
        with capture_logs() as lines:
            warn_if_off(settings)
            await mailer_of(settings, MovableClock()).send(MESSAGE)
        assert lines == []
    assert len(mailbox.deliveries) == 2
