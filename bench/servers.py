"""The contenders as processes: each on a port of its own, all stopped when the run ends."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from api.secrets import ACCESS_TOKENS, derive_key
from bench.footprint import processes_of, resident_bytes
from bench.load import ROOT, Load, bring
from bench.records import Place, make_embedded_place, make_place
from bench.stock import token_for
from db.engine import Database
from db.models import Session
from domain.tokens import Holder, TokenIssuer, shared_key
from tests.live import cold, serving
from tests.machine import free_port, listens, program, wait_for
from tests.servers import DISK, begin_run, end_run, start_postgres

SECRET = "a secret for benchmarks that is used nowhere else and is long enough"
PEERS = Path(__file__).parent / "peers"
START_SECONDS = 30
STOP_SECONDS = 10
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type text/plain; keepalive_requests 100000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=512; root {root}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A contender that listens. `idle_bytes` is the memory it takes when it has nothing to do."""

    port: int
    pid: int
    token: str
    folder: Path
    idle_bytes: int = 0

    async def warmed_by(self, load: Load) -> Self:
        """The server after a few requests, so that what it loads late counts as idle."""
        await bring(load)
        return replace(self, idle_bytes=resident_bytes(processes_of(self.pid)))


@dataclass(frozen=True, slots=True)
class House:
    """Where everything of one run lies, and the PostgreSQL that the contenders share."""

    folder: Path
    postgres: str

    async def make_place(self, name: str) -> Place:
        """A new database with people and files."""
        return await make_place(self.postgres, name)

    async def make_embedded_place(self, name: str) -> Place:
        """The same on SQLite."""
        return await make_embedded_place(self.folder, name)


@contextmanager
def open_house() -> Iterator[House]:
    """A folder on a disk, and a durable PostgreSQL cluster in it; gone after the run."""
    folder = begin_run(DISK)
    try:
        yield House(folder, start_postgres(folder, "-c shared_buffers=256MB"))
    finally:
        end_run(folder)


@asynccontextmanager
async def cairn(
    house: House, place: Place, own: Mapping[str, str] | None = None, program: str = "api"
) -> AsyncIterator[Server]:
    """The service, as `python -m api serve` starts it, or another program that does; with settings of its own."""
    folder = house.folder / place.name
    folder.mkdir(exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"DATABASE_URL": place.url, "SECRET_KEY": SECRET, "CAIRN_PUBLIC_URL": url, "CAIRN_PORT": str(port)}
    issuer = TokenIssuer((shared_key(derive_key(SECRET.encode(), ACCESS_TOKENS)),), url, timedelta(days=1))
    with serving(folder, settings | dict(own or {}), cold(program)) as live:
        token = await _signed_in(issuer, place)
        yield Server(port, live.process.pid, token, live.data_folder)


async def _signed_in(issuer: TokenIssuer, place: Place) -> str:
    now = datetime.now(UTC)
    end = now + timedelta(days=1)
    session = Session(user_id=place.viewer_id, created_at=now, last_used_at=now, expires_at=end)
    db = Database(place.url)
    async with db.transaction() as tx:
        await tx.add(session)
    await db.close()
    return issuer.issue(Holder(place.viewer_id, session.id), now, end).text


@asynccontextmanager
async def stock(house: House, place: Place, processes: int = 1) -> AsyncIterator[Server]:
    """Strawberry's stock view and Starlette's FileResponse, in as many processes as uvicorn is told."""
    folder = _folder(house, "stock")
    port = free_port()
    given = str(port), place.url, str(folder), str(processes)
    with _process(port, sys.executable, "-m", "bench.stock", *given) as pid:
        yield Server(port, pid, token_for(place.viewer_id), folder)


@asynccontextmanager
async def stock_broadcast(house: House) -> AsyncIterator[Server]:
    """Strawberry's stock view with subscriptions."""
    port = free_port()
    with _process(port, sys.executable, "-m", "bench.stock_broadcast", str(port)) as pid:
        yield Server(port, pid, "", _folder(house, "broadcast"))


@asynccontextmanager
async def bare(house: House) -> AsyncIterator[Server]:
    """The bare socket server."""
    folder = _folder(house, "bare")
    port = free_port()
    with _process(port, sys.executable, "-m", "bench.bare", str(port), str(folder)) as pid:
        yield Server(port, pid, "", folder)


@asynccontextmanager
async def tus(house: House) -> AsyncIterator[Server]:
    """@tus/server with its file store: `make bench` installs it."""
    folder = _folder(house, "tus")
    port = free_port()
    with _process(port, program("node"), str(PEERS / "tus.mjs"), str(port), str(folder)) as pid:
        yield Server(port, pid, "", folder)


@asynccontextmanager
async def nginx(house: House, root: Path) -> AsyncIterator[Server]:
    """An nginx that serves a folder."""
    folder = _folder(house, "nginx")
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, user=user, port=port, root=root))
    with _process(port, program("nginx"), "-c", str(configuration), "-e", str(folder / "error.log")) as pid:
        yield Server(port, pid, "", root)


def _folder(house: House, name: str) -> Path:
    folder = house.folder / name
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def _process(port: int, *command: str) -> Iterator[int]:
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port) or process.poll() is not None, START_SECONDS)
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended with status {process.returncode}")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def settle() -> None:
    """Let what was written reach the disk, so that nobody pays for the one before."""
    await asyncio.to_thread(os.sync)
