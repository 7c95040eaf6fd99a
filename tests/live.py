"""The service as operators run it: `python -m api serve` in a process of its own, on a free port."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.machine import wait_for

ROOT = Path(__file__).parent.parent
START_SECONDS = 90
STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Live:
    """A service that listens at `url`. Its log is JSON lines."""

    url: str
    process: subprocess.Popen[bytes]
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


@contextmanager
def serving(folder: Path, environment: Mapping[str, str] | None = None, program: str = "api") -> Iterator[Live]:
    """A service whose data lies below `folder`; the same folder again is the same service started again."""
    log = folder / "service.log"
    given = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    own = {
        "PYTHONPATH": str(ROOT),
        "CAIRN_PORT": "0",
        "CAIRN_DATA_FOLDER": str(folder / "data"),
        "CAIRN_LOG_FORMAT": "json",
        "CAIRN_DISK_FLOOR_BYTES": "0",
        "CAIRN_RATE_LIMITS": "false",
    }
    log.write_bytes(b"")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", program, "serve"],
            cwd=folder,  # where nobody's .env lies
            env=given | own | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
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


def _address(log: Path) -> str:
    for line in log.read_text().splitlines():
        if '"listening"' in line:
            url: str = json.loads(line)["url"]
            return url
    return ""
