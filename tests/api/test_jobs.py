import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from db.engine import Database, migrate
from db.models import Job, JobState
from domain.letters import MailToken
from domain.mails import Addressee, enqueue_mail, verification_mail
from tests.live import STOP_SECONDS, Live, serving
from tests.machine import wait_for
from tests.mailbox import Mailbox, receiving
from tests.programs import outside, run, start
from tests.records import MovableClock, make_ports

TOKEN = "a-token-that-nobody-may-see"
URL = "https://files.example"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receiving() as server:
        yield server


def environment(url: str, **given: str) -> dict[str, str]:
    return outside() | {"CAIRN_LOG_FORMAT": "json", "CAIRN_DATABASE_URL": url} | given


def sends(mailbox: Mailbox) -> dict[str, str]:
    return {"CAIRN_SMTP_URL": mailbox.url, "CAIRN_MAIL_FROM": "Cairn <files@example.org>"}


def command(folder: Path, environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("api", *arguments, folder=folder, environment=environ)


@contextmanager
def at_work(folder: Path, environ: Mapping[str, str]) -> Iterator[Live]:
    """`python -m api work`, once it says that it works."""
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = start("api", "work", folder=folder, environment=environ, output=output)
    try:
        assert wait_for(lambda: '"working"' in log.read_text(), 30), log.read_text()
        yield Live("", process, folder / "data", log)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


async def enqueue(url: str, *emails: str) -> None:
    db, ports = Database(url), make_ports(MovableClock())
    token = MailToken(TOKEN, timedelta(hours=1))
    async with db.transaction() as tx:
        for email in emails:
            message = verification_mail(URL, Addressee(email, "ada"), token)
            await enqueue_mail(tx, ports, message)
    await db.close()


async def left(url: str) -> int:
    db = Database(url)
    async with db.reading() as rows:
        count = int(await rows.scalar(select(func.count()).select_from(Job)))
    await db.close()
    return count


def test_a_process_of_its_own_sends_mail_and_stops_when_asked(
    database_url: str, mailbox: Mailbox, tmp_path: Path
) -> None:
    with at_work(tmp_path, environment(database_url, **sends(mailbox))) as worker:
        asyncio.run(enqueue(database_url, "ada@example.com"))
        delivery = mailbox.next()
        assert delivery.recipients == ["ada@example.com"]
        assert f"{URL}/#verify-email={TOKEN}" in delivery.text
        assert wait_for(lambda: asyncio.run(left(database_url)) == 0, 10)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(STOP_SECONDS) == 0
        lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["working", "stopped"]


def test_what_a_killed_worker_was_sending_is_sent_by_another(sqlite_url: str, mailbox: Mailbox, tmp_path: Path) -> None:
    mailbox.slow_seconds = 60
    environ = environment(sqlite_url, **sends(mailbox))
    with at_work(tmp_path, environ) as worker:
        asyncio.run(enqueue(sqlite_url, "ada@example.com"))
        assert wait_for(lambda: mailbox.tries == ["ada@example.com"], 20)
        worker.kill()
    mailbox.slow_seconds = 0
    assert asyncio.run(left(sqlite_url)) == 1
    asyncio.run(end_leases(sqlite_url))  # they are a minute long
    with at_work(tmp_path, environ):
        assert mailbox.next().recipients == ["ada@example.com"]


async def end_leases(url: str) -> None:
    db = Database(url)
    async with db.transaction() as tx:
        await tx.execute(Job.metadata.tables["jobs"].update().values(lease_until=MovableClock().now()))
    await db.close()


def test_the_service_sends_mail_itself_unless_it_is_told_not_to(
    sqlite_url: str, mailbox: Mailbox, tmp_path: Path
) -> None:
    own = {"CAIRN_DATABASE_URL": sqlite_url, **sends(mailbox)}
    with serving(tmp_path, own | {"CAIRN_WORKER": "no"}) as idle:
        asyncio.run(enqueue(sqlite_url, "ada@example.com"))
        assert not wait_for(lambda: bool(mailbox.tries), 2)
        assert idle.stop() == 0
    with serving(tmp_path, own) as live:
        assert mailbox.next().recipients == ["ada@example.com"]
        assert live.stop() == 0
        assert TOKEN not in live.log.read_text()


def test_without_a_mail_server_development_logs_the_mail_and_production_drops_it(
    sqlite_url: str, tmp_path: Path
) -> None:
    asyncio.run(enqueue(sqlite_url, "ada@example.com"))
    with serving(tmp_path, {"CAIRN_DATABASE_URL": sqlite_url}) as live:
        assert wait_for(lambda: TOKEN in live.log.read_text(), 10)
        assert "mail is off" not in live.log.read_text()
    asyncio.run(enqueue(sqlite_url, "ada@example.com"))
    production = {"CAIRN_ENVIRONMENT": "production", "SECRET_KEY": "s" * 40, "CAIRN_PUBLIC_URL": URL}
    with serving(tmp_path, production | {"CAIRN_DATABASE_URL": sqlite_url, "CAIRN_HOST": "127.0.0.1"}) as live:
        assert wait_for(lambda: "so one was dropped" in live.log.read_text(), 10)
        assert "mail is off: nobody can verify an address" in live.log.read_text()
        assert TOKEN not in live.log.read_text()
        assert wait_for(lambda: asyncio.run(left(sqlite_url)) == 0, 10)


def test_dead_jobs_are_listed_without_what_was_secret_and_only_others_can_be_retried(
    database_url: str, mailbox: Mailbox, tmp_path: Path
) -> None:
    mailbox.answers["gone@example.com"] = f"550 5.1.1 no such user, whatever {TOKEN} may be"
    environ = environment(database_url, **sends(mailbox))
    asyncio.run(enqueue(database_url, "gone@example.com", "ada@example.com"))
    with at_work(tmp_path, environ) as worker:
        assert mailbox.next().recipients == ["ada@example.com"]
        assert wait_for(lambda: '"job dead"' in worker.log.read_text(), 10)
        log = worker.log.read_text()
    listed = command(tmp_path, environ, "jobs")
    assert listed.returncode == 0
    [line] = listed.stdout.splitlines()
    found = re.fullmatch(
        r"([0-9a-f-]{36})  mail\.send  1  [-0-9]+ [:0-9]+Z  MailRefused: 550 5\.1\.1 \(cannot be retried\)", line
    )
    assert found, line
    assert TOKEN not in log + listed.stdout + listed.stderr
    assert "gone@example.com" not in log + listed.stdout + listed.stderr
    refused = command(tmp_path, environ, "jobs", "retry", found[1])
    assert (refused.returncode, refused.stderr) == (
        1,
        "What the job was about was secret and is gone: it has to be asked for anew.\n",
    )
    absent = command(tmp_path, environ, "jobs", "retry", str(uuid4()))
    assert (absent.returncode, absent.stderr) == (1, "There is no such dead job.\n")
    assert command(tmp_path, environ, "jobs", "retry", "no-id").returncode == 2


def test_a_dead_job_that_is_retried_waits_for_a_worker(database_url: str, tmp_path: Path) -> None:
    job_id = asyncio.run(add_dead_job(database_url))
    environ = environment(database_url)
    assert f"{job_id}  of tomorrow  3  " in command(tmp_path, environ, "jobs").stdout
    done = command(tmp_path, environ, "jobs", "retry", job_id)
    assert (done.returncode, done.stdout, done.stderr) == (0, "The job waits for a worker.\n", "")
    assert command(tmp_path, environ, "jobs").stdout == ""
    assert asyncio.run(left(database_url)) == 1


async def add_dead_job(url: str) -> str:
    now = MovableClock().now()
    job = Job(
        kind="of tomorrow",
        payload={"a": 1},
        state=JobState.DEAD,
        attempts=3,
        run_at=now,
        created_at=now,
        updated_at=now,
    )
    db = Database(url)
    async with db.transaction() as tx:
        await tx.add(job)
    await db.close()
    return str(job.id)


@pytest.mark.parametrize("arguments", [["work"], ["jobs"], ["jobs", "retry", str(uuid4())]])
def test_a_database_that_is_not_migrated_is_a_sentence(sqlite_url: str, tmp_path: Path, arguments: list[str]) -> None:
    migrate(sqlite_url, "base")
    done = command(tmp_path, environment(sqlite_url), *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("The database is at migration none, the service needs ")
