"""The service as operators run it: `python -m api serve` in a process of its own, on a free port."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.machine import wait_for
from tests.programs import Program, outside, start

START_SECONDS = 90
STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Live:
    """A service that listens at `url`. Its log is JSON lines."""

    url: str
    process: Program | subprocess.Popen[bytes]
    data_folder: Path
    log: Path

    @property
    def port(self) -> int:
        """The port of 127.0.0.1 that it listens on."""
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """Pull the plug: SIGKILL."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to stop, as an operator does, and give its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


Starting = Callable[[Path, Mapping[str, str], IO[bytes]], Program | subprocess.Popen[bytes]]


def forked(folder: Path, environment: Mapping[str, str], output: IO[bytes]) -> Program:
    """The service, by a process that has read its modules."""
    return start("api", "serve", folder=folder, environment=environment, output=output)


def cold(module: str) -> Starting:
    """The service, or another module that serves, by a new interpreter: some two seconds later."""

    def starting(folder: Path, environment: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module, "serve"]
        nothing, as_well = subprocess.DEVNULL, subprocess.STDOUT
        return subprocess.Popen(command, cwd=folder, env=environment, stdin=nothing, stdout=output, stderr=as_well)

    return starting


@contextmanager
def serving(folder: Path, environment: Mapping[str, str] | None = None, starting: Starting = forked) -> Iterator[Live]:
    """A service whose data lies below `folder`; the same folder again is the same service started again."""
    log = folder / "service.log"
    own = {
        "CAIRN_PORT": "0",
        "CAIRN_DATA_FOLDER": str(folder / "data"),
        "CAIRN_LOG_FORMAT": "json",
        "CAIRN_DISK_FLOOR_BYTES": "0",
        "CAIRN_RATE_LIMITS": "false",
    }
    log.write_bytes(b"")
    with log.open("ab") as output:
        process = starting(folder, outside() | own | dict(environment or {}), output)  # where nobody's .env lies
    try:
        wait_for(lambda: _address(log) != "" or process.poll() is not None, START_SECONDS)
        assert _address(log), f"the service did not start:\n{log.read_text()}"
        yield Live(_address(log), process, folder / "data", log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def serving_together(folder: Path, database_url: str, environment: Mapping[str, str]) -> Iterator[list[Live]]:
    """Two processes of one service on a PostgreSQL, which share everything but a port."""
    shared = {
        "CAIRN_DATABASE_URL": database_url.replace("+asyncpg", ""),
        "CAIRN_DATA_FOLDER": str(folder / "shared"),
        "CAIRN_PUBLIC_URL": "http://cairn.test",
        "CAIRN_SECRET_KEY": "a secret of more than thirty-two bytes for both",
        **environment,
    }
    with ExitStack() as stack:
        folders = [folder / "one", folder / "other"]
        for each in folders:
            each.mkdir()
        yield [stack.enter_context(serving(each, shared)) for each in folders]


def _address(log: Path) -> str:
    for line in log.read_text().splitlines():
        if '"listening"' in line:
            url: str = json.loads(line)["url"]
            return url
    return ""
