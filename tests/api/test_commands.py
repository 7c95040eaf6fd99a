import asyncio
import gc
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from api import commands
from db.engine import Database, migrate
from tests.asking import LOGIN, PASSWORD, UPLOAD, Account, ask, sign_up
from tests.live import Live, cold, serving
from tests.machine import PATIENCE_SECONDS, free_port, listens, wait_for
from tests.programs import outside

ADMIN = ["admin", "create", "--username", "root", "--email", "root@example.org", "--password-stdin"]
TRACEBACK = "Traceback"


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An operator's empty folder and clean environment. The logs of the test run stay as they are."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("CAIRN_") or name in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PORT"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("CAIRN_DISK_FLOOR_BYTES", "0")
    monkeypatch.setenv("CAIRN_MEMORY_TUNING", "no")
    monkeypatch.setattr(commands, "configure_logs", lambda *_: None)
    with capture_logs():
        yield
    gc.unfreeze()


def run(*arguments: str, typed: str = "") -> Result:
    result = CliRunner().invoke(commands.commands, arguments, input=typed)
    assert TRACEBACK not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_wrong_settings_are_all_told_and_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    monkeypatch.setenv("CAIRN_MAXIMUM_FILE", "1")
    monkeypatch.setenv("CAIRN_ENVIRONMENT", "production")
    for arguments in (["serve"], ["migrate"], ["settings"], ADMIN):
        result = run(*arguments)
        assert result.exit_code == 2
        assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [
            "The settings are wrong",
            "CAIRN_MAXIMUM_FILE",
            "CAIRN_SECRET_KEY",
            "PORT",
            "CAIRN_PUBLIC_URL",
        ]
    assert list(Path.cwd().iterdir()) == []


def test_settings_are_shown_with_their_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("CAIRN_PORT=81\n")
    monkeypatch.setenv("SECRET_KEY", "hunter2" * 5)
    result = run("settings")
    assert result.exit_code == 0
    assert "CAIRN_PORT=81  # CAIRN_PORT in .env\n" in result.stdout
    assert "hunter2" not in result.output


def test_migrate_makes_the_database_and_may_run_again() -> None:
    for _ in range(2):
        result = run("migrate")
        assert (result.exit_code, result.stdout) == (0, "The database is at the newest migration.\n")
    assert stat.S_IMODE(Path(".data").stat().st_mode) == 0o700
    database = Database("sqlite+aiosqlite:///.data/cairn.db")
    asyncio.run(check(database))


async def check(database: Database) -> None:
    await database.check()
    await database.close()


def test_a_data_folder_that_cannot_be_made_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("CAIRN_DATA_FOLDER", "file/data")
    result = run("serve")
    assert result.exit_code == 2
    assert result.stderr == "CAIRN_DATA_FOLDER: cannot be made: Not a directory\n"


def test_a_port_in_use_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        result = run("serve")
    assert result.exit_code == 1
    assert result.stderr == f"Cannot listen on http://127.0.0.1:{port}: Address already in use.\n"


def test_a_database_that_is_no_database_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.db").write_text("no database" * 1000)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///x.db")
    for arguments in (["migrate"], ["serve"], ADMIN):
        monkeypatch.setenv("PORT", "0")
        result = run(*arguments, typed=f"{PASSWORD}\n")
        assert result.exit_code == 1
        assert result.stderr.startswith("The database cannot be used: ")
        assert result.stderr.count("\n") == 1


def test_a_database_server_that_is_away_is_a_sentence_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://u:hunter2@127.0.0.1:{free_port()}/d")
    for arguments in (["migrate"], ["serve"], ADMIN):
        monkeypatch.setenv("PORT", "0")
        result = run(*arguments, typed=f"{PASSWORD}\n")
        assert result.exit_code == 1
        assert result.stderr.startswith("The database cannot be used: ")
        assert "hunter2" not in result.output


def test_a_database_server_is_not_migrated_behind_the_operators_back(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("PORT", "0")
    migrate(postgres_url, "base")
    for arguments in (["serve"], ADMIN):
        result = run(*arguments, typed=f"{PASSWORD}\n")
        assert result.exit_code == 1
        assert result.stderr.startswith("The database is at migration none, the service needs ")
        assert result.stderr.endswith("Run: python -m api migrate\n")
    assert run("migrate").exit_code == 0
    assert run(*ADMIN, typed=f"{PASSWORD}\n").stdout == "root is an administrator.\n"


def test_an_administrator_is_made_by_the_rules_of_every_account() -> None:
    run("migrate")
    result = run("admin", "create", "--username", "x", "--email", "nobody", typed="short\nshort\n")
    assert result.exit_code == 1
    told = result.stderr
    assert "A username has 3 to 32 characters" in told
    assert "not an email address" in told
    assert "password" in told.lower()
    assert run(*ADMIN, typed=f"{PASSWORD}\n").exit_code == 0
    assert run(*ADMIN, typed=f"{PASSWORD}\n").stderr == (
        "Somebody has this username already.\nSomebody has an account with this email already.\n"
    )
    with sqlite3.connect(".data/cairn.db") as rows:
        assert rows.execute("SELECT username, email, role FROM users").fetchall() == [
            ("root", "root@example.org", "ADMIN")
        ]
    rows.close()


def test_a_user_is_promoted_by_name_in_any_case() -> None:
    run("migrate")
    assert run("admin", "promote", "root").stderr == "There is no such user.\n"
    assert run(*ADMIN, typed=f"{PASSWORD}\n").exit_code == 0
    with sqlite3.connect(".data/cairn.db") as rows:
        rows.execute("UPDATE users SET role = 'USER'")
    rows.close()
    assert run("admin", "promote", "ROOT").stdout == "root is an administrator.\n"
    with sqlite3.connect(".data/cairn.db") as rows:
        assert rows.execute("SELECT role FROM users").fetchall() == [("ADMIN",)]
        assert rows.execute("SELECT kind, actor_id FROM events ORDER BY id DESC").fetchone() == (
            "user.role_changed",
            None,
        )
    rows.close()


def test_what_is_not_given_is_asked_for_and_the_password_is_not_shown() -> None:
    run("migrate")
    result = run("admin", "create", typed=f"root\nroot@example.org\n{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0
    assert "root is an administrator." in result.stdout
    assert PASSWORD not in result.output


def test_serve_prints_for_people_where_to_go_and_stops_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("CAIRN_LOG_FORMAT", "console")
    monkeypatch.setenv("CAIRN_MEMORY_TUNING", "yes")
    states: list[str] = []

    def visit() -> None:
        wait_for(lambda: listens(port), 30)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            states.append(json.load(answer)["status"])
        os.kill(os.getpid(), signal.SIGTERM)

    visitor = threading.Thread(target=visit)
    visitor.start()
    result = run("serve")
    visitor.join()
    assert result.exit_code == 0
    assert states == ["ok"]
    assert f"Cairn listens on http://127.0.0.1:{port}\n" in result.stdout
    assert f"GraphiQL is at http://127.0.0.1:{port}/graphql\n" in result.stdout
    assert stat.S_IMODE(Path(".data/secret").stat().st_mode) == 0o600


def test_an_upload_in_flight_is_finished_when_the_service_is_asked_to_stop(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        account = asyncio.run(signed_up(live))
        body, boundary = multipart(b"first half, second half\n" * 200_000)
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: cairn.test\r\nAuthorization: {account.headers['Authorization']}\r\n"
            f"Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as peer:
            peer.sendall(head.encode() + body[:-40])
            assert wait_for(lambda: any((live.data_folder / "leases").iterdir()), PATIENCE_SECONDS)
            live.process.send_signal(signal.SIGTERM)
            assert wait_for(lambda: not listens(live.port), PATIENCE_SECONDS), "new connections are refused"
            assert live.process.poll() is None
            peer.sendall(body[-40:])
            received = b""
            while piece := peer.recv(65536):
                received += piece
        assert received.startswith(b"HTTP/1.1 200 OK")
        assert b'"problems":[]' in received
        assert b'"size":4800000' in received
        assert live.process.wait(15) == 0
        log = [json.loads(line) for line in live.log.read_text().splitlines()]
    assert [line["event"] for line in log][-1] == "stopped"
    uploads = [
        line for line in log if line["event"] == "request" and line["bytes"] == len(received.split(b"\r\n\r\n")[1])
    ]
    assert len(uploads) == 1
    assert uploads[0]["request_id"] in received.decode()
    assert PASSWORD not in str(log)
    assert account.token not in str(log)


async def signed_up(live: Live) -> Account:
    async with AsyncClient(base_url=live.url) as client:
        return await sign_up(client)


def multipart(content: bytes) -> tuple[bytes, str]:
    boundary = "cairn-test"
    parts = {
        'name="operations"': json.dumps({"query": UPLOAD, "variables": {"input": {"file": None}}}).encode(),
        'name="map"': json.dumps({"0": ["variables.input.file"]}).encode(),
        'name="0"; filename="notes.txt"': content,
    }
    pieces = [
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n"
        for name, value in parts.items()
    ]
    return b"".join(pieces) + f"--{boundary}--\r\n".encode(), boundary


def test_sessions_outlive_a_restart_because_the_secret_is_kept(tmp_path: Path) -> None:
    environment = {"CAIRN_PUBLIC_URL": "https://cairn.test"}
    with serving(tmp_path, environment, cold("api")) as live:
        account = asyncio.run(signed_up(live))
        assert live.stop() == 0
    with serving(tmp_path, environment) as live:
        assert asyncio.run(viewer(live, account)) == account.id


async def viewer(live: Live, account: Account) -> str:
    async with AsyncClient(base_url=live.url) as client:
        found: str = (await ask(client, "{ viewer { id } }", account))["viewer"]["id"]
        return found


def test_an_administrator_made_while_the_service_runs_can_log_in(live: Live) -> None:
    environ = outside() | {"DATABASE_URL": f"sqlite:///{live.data_folder.parent}/cairn.sqlite"}
    command = [sys.executable, "-m", "api", *ADMIN]
    done = subprocess.run(command, input=PASSWORD, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "root is an administrator.\n", "")
    assert asyncio.run(role(live)) == "ADMIN"


async def role(live: Live) -> str:
    async with AsyncClient(base_url=live.url) as client:
        payload = (await ask(client, LOGIN, input={"username": "root", "password": PASSWORD}))["login"]
        root = Account(payload["user"]["id"], "root", payload["accessToken"])
        found: str = (await ask(client, "{ viewer { account { role } } }", root))["viewer"]["account"]["role"]
        return found
