"""Real servers for the tests: started by the first test that needs one, shared by all workers, stopped with the run."""

import asyncio
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
from sqlalchemy.engine.url import URL, make_url

from db.engine import migrate
from tests.machine import absent, free_port, listens, program, wait_for

START_SECONDS = 30
STOP_SECONDS = 5
RUN_PREFIX = "cairn-tests-"
MEMORY, DISK = Path("/dev/shm"), Path(tempfile.gettempdir())
MEMORY_BYTES = 4 << 30
"""What has to be free of it: some containers have next to nothing there."""
# Tests kill the service, never PostgreSQL: its own durability would only cost time. So would tidying up.
UNSAFE = "-c fsync=off -c full_page_writes=off -c autovacuum=off"


def begin_run(place: Path) -> Path:
    """A folder in `place` for what this run's workers share, after what killed runs left behind has been cleared."""
    for left in (left for place in (place, DISK) for left in place.glob(f"{RUN_PREFIX}*")):
        if not _lives(int(left.name.removeprefix(RUN_PREFIX).split("-")[0])):
            end_run(left)
    folder = Path(tempfile.mkdtemp(prefix=f"{RUN_PREFIX}{os.getpid()}-", dir=place))
    folder.chmod(0o711)  # the user postgres must be able to pass through
    return folder


def memory_or_disk() -> Path:
    """Memory where there is room: a disk would be waited for at each commit, to be ready for a loss of power.

    Tests pull no more plugs than those of processes.
    """
    is_roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return MEMORY if is_roomy else DISK


def end_run(folder: Path) -> None:
    """Stop every server that the run started, and remove its folder."""
    for kept in folder.glob("*.pid"):
        _stop(int(kept.read_text()))
    shutil.rmtree(folder, ignore_errors=True)


def once(folder: Path, name: str, make: Callable[[], str]) -> str:
    """What `make` gives: made by the first worker that asks, read by all others."""
    with _locked(folder / f"{name}.lock"):
        made = folder / f"{name}.made"
        if not made.exists():
            made.write_text(make())
        return made.read_text()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _stop(pid: int) -> None:
    # SIGINT is PostgreSQL's fast and Redis's only shutdown; the second signal is for a server that hangs.
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if wait_for(lambda: not _lives(pid), STOP_SECONDS):
            return


def migrated_sqlite(folder: Path) -> Path:
    """An empty SQLite database at the newest migration, to be copied."""

    def make() -> str:
        path = folder / "migrated.sqlite"
        migrate(f"sqlite+aiosqlite:///{path}")
        return str(path)

    return Path(once(folder, "sqlite", make))


def migrated_postgres(folder: Path) -> URL:
    """An empty, migrated PostgreSQL database: on CAIRN_TEST_POSTGRES, or on a cluster of the run's own."""

    def make() -> str:
        server = os.environ.get("CAIRN_TEST_POSTGRES") or start_postgres(folder, UNSAFE)
        migrated = make_url(server).set(drivername="postgresql+asyncpg", database=f"cairn_{os.getpid()}")
        create_database(migrated)
        migrate(migrated.render_as_string(hide_password=False))
        return migrated.render_as_string(hide_password=False)

    return make_url(once(folder, "postgres", make))


def create_database(place: URL, template: str = "template1") -> None:
    """An empty database, or a copy of another."""
    _administer(place, f'CREATE DATABASE "{place.database}" TEMPLATE "{template}"')


def drop_database(place: URL) -> None:
    """The end of a database, also of connections to it."""
    _administer(place, f'DROP DATABASE IF EXISTS "{place.database}" WITH (FORCE)')


def _administer(place: URL, statement: str) -> None:
    async def run() -> None:
        server = place.set(drivername="postgresql", database="postgres")
        connection = await asyncpg.connect(server.render_as_string(hide_password=False))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def start_postgres(folder: Path, extra_options: str = "") -> str:
    """The URL of a PostgreSQL cluster of the run's own, stopped by `end_run`."""
    user = _postgres_user()
    data, port = folder / "postgres", free_port()
    data.mkdir()
    if user:
        shutil.chown(data, user, user)
    _run_postgres(user, data, "initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8")
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data} -c max_connections=300"
        f" {extra_options}"
    )
    _run_postgres(user, data, "pg_ctl", "-w", "-t", str(START_SECONDS), "-l", str(data / "log"), "-o", options, "start")
    (folder / "postgres.pid").write_text((data / "postmaster.pid").read_text().splitlines()[0])
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _run_postgres(user: str | None, data: Path, name: str, *arguments: str) -> None:
    said = data.parent / f"{name}.output"  # a file, since the server would keep a pipe open
    with said.open("wb") as output:
        done = subprocess.run(
            [_postgres_program(name), "-D", data, *arguments],
            cwd=data,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        absent("postgres", f"{name} failed: {said.read_text()}")


def _postgres_program(name: str) -> str:
    # Debian keeps the server's programs outside PATH, in a folder per version.
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(beside[-1]) if beside else program("postgres", name)


def _postgres_user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        absent("postgres", "PostgreSQL does not run as root, and there is no user postgres")


def shared_redis(folder: Path) -> str:
    """The URL of a Redis that keeps nothing, one for the run."""

    def make() -> str:
        port = free_port()
        command = [*redis_command(folder, port), "--daemonize", "yes", "--pidfile", str(folder / "redis.pid")]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        if not wait_for(lambda: listens(port), START_SECONDS):
            absent("redis", "redis-server did not start")
        return f"redis://127.0.0.1:{port}/0"

    return once(folder, "redis", make)


def redis_command(folder: Path, port: int) -> list[str]:
    """How to start a Redis of one's own, for tests that stop it."""
    own = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "no"]
    return [program("redis", "redis-server"), *own]


class OwnRedis:
    """A redis-server that the test may kill, stop and start."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = redis_command(folder, self.port)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        assert wait_for(lambda: listens(self.port), START_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
