from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from db.engine import Database
from db.jobs import Lease
from db.rows import JobRow
from domain import jobs, mails
from domain.errors import InvalidInput
from domain.jobs import JobKind, JobKinds
from domain.letters import MailToken
from domain.mail_messages import MailMessage
from domain.mails import Addressee, Invitation
from tests.records import NOW, MovableClock, make_ports

URL = "https://files.example/cairn"
ADA = Addressee("Ada@Example.com", "ada")
TOKEN = MailToken("tok-_en/+&#", timedelta(hours=1))
HOSTILE = "Eve\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script>=?utf-8?q?=0D=0A?=\u202e\ud800\0" + "x" * 100_000

MailOf = Callable[[Addressee, MailToken], MailMessage]
ASKING: dict[str, MailOf] = {
    "verify-email": lambda to, token: mails.verification_mail(URL, to, token),
    "reset-password": lambda to, token: mails.password_reset_mail(URL, to, token),
    "confirm-email": lambda to, token: mails.email_confirmation_mail(URL, to, token),
    "accept-invitation": lambda to, token: mails.invitation_mail(
        URL, Invitation(to.email, "bob", "Designs", "EDITOR"), token
    ),
}
TELLING: dict[str, MailOf] = {
    "change": lambda to, _: mails.email_change_mail(URL, to),
    "taken": lambda to, _: mails.email_taken_mail(URL, to),
    "changed": lambda to, _: mails.password_changed_mail(URL, to, datetime(2026, 11, 26, 4, 5, 6, tzinfo=UTC)),
}


@dataclass
class Outbox:
    sent: list[MailMessage] = field(default_factory=list)

    async def send(self, message: MailMessage) -> None:
        self.sent.append(message)


@pytest.mark.parametrize("page", ASKING)
def test_a_mail_that_asks_has_a_link_with_the_token_in_its_fragment_and_the_token_to_paste(page: str) -> None:
    message = ASKING[page](ADA, TOKEN)
    link = f"{URL}/#{page}=tok-_en%2F%2B%26%23"
    assert message.to == "Ada@example.com"
    assert {link, TOKEN.text} <= set(message.text.splitlines())
    assert f'href="{link}"' in message.html
    assert "<code>tok-_en/+&amp;#</code>" in message.html
    assert "1 hour" in message.text
    assert TOKEN.text not in message.subject


@pytest.mark.parametrize("name", TELLING)
def test_a_mail_that_tells_has_no_link_but_that_of_the_service(name: str) -> None:
    message = TELLING[name](ADA, TOKEN)
    assert "#" not in message.text
    assert "Hello ada," in message.text
    assert message.text.endswith(f"Cairn at {URL}\n")


def test_the_time_of_a_changed_password_is_told() -> None:
    message = TELLING["changed"](ADA, TOKEN)
    assert "on 2026-11-26 at 04:05 UTC" in " ".join(message.text.split())


def test_an_invitation_tells_who_invites_where_and_as_what() -> None:
    message = ASKING["accept-invitation"](ADA, TOKEN)
    assert message.subject == "Invitation to the workspace “Designs”"
    assert "bob invites you to the workspace “Designs”, as editor." in " ".join(message.text.split())


@pytest.mark.parametrize("name", [*ASKING, *TELLING])
def test_hostile_names_stay_words(name: str) -> None:
    message = (ASKING | TELLING)[name](replace(ADA, username=HOSTILE), TOKEN)
    assert message.to == "Ada@example.com"
    assert message.subject.isprintable()
    assert "<script>" not in message.html
    assert len(message.text) < 2000
    message.text.encode()


def test_a_hostile_invitation_stays_words() -> None:
    message = mails.invitation_mail(URL, Invitation("a@example.com", HOSTILE, HOSTILE, HOSTILE), TOKEN)
    assert message.subject.startswith("Invitation to the workspace “Eve Bcc: all@example.org <script>")
    assert message.subject.isprintable()
    assert "<script>" not in message.html
    assert not any(line.startswith("Bcc") for line in message.text.splitlines())


@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b.org\r\nBcc: c@d.org", "a@b.org, c@d.org", "=?utf-8?q?a?=@example.com", "a\0@b.org"]
)
def test_what_is_no_address_gets_no_mail(email: str) -> None:
    with pytest.raises(InvalidInput):
        mails.verification_mail(URL, Addressee(email, "ada"), TOKEN)


async def test_a_mail_is_sent_after_its_transaction_and_its_row_goes(database_url: str) -> None:
    db, clock, outbox = Database(database_url), MovableClock(), Outbox()
    ports = replace(make_ports(clock), mailer=outbox)
    message = ASKING["verify-email"](ADA, TOKEN)

    async def handle(job: JobRow) -> None:
        await mails.send_mail(ports, job)

    kinds = JobKinds((JobKind(mails.MAIL_JOB, handle, is_secret=True),))
    async with db.transaction() as tx:
        await mails.enqueue_mail(tx, ports, message)
        await mails.enqueue_mail(tx, ports, message)
    async with db.transaction() as tx:
        [job, _] = await jobs.claim(tx, kinds, Lease("w", NOW, NOW), 10)
    await kinds.of(job).handle(job)
    assert outbox.sent == [message]
    await db.close()
