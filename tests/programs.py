"""Programs of the service in processes of their own: `python -m api …`, as operators start them, but started at once.

They are forked from a process that has read all modules before: `tests.forking`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ROOT = Path(__file__).parent.parent
START_SECONDS = 60
STATUS_BYTES = 32


class Program:
    """A process: what tests need of `subprocess.Popen`."""

    def __init__(self, pid: int, told: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._told = told

    def poll(self) -> int | None:
        """Its exit status, if it has ended; that of a signal is negative."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended. Raises TimeoutExpired."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                said = self._told.recv(STATUS_BYTES)
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._told.close()
            self.returncode = int(said or -signal.SIGKILL)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Nothing happens to one that has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@dataclass(slots=True)
class _Forking:
    process: subprocess.Popen[bytes]
    asking: socket.socket


_forking: list[_Forking] = []


def start(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str],
    stdin: IO[bytes] | None = None,
    output: IO[bytes] | None = None,
    errors: IO[bytes] | None = None,
) -> Program:
    """What `python -m` makes of these arguments; errors go where the output goes unless another place is named."""
    told, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a message is a line of its own
    wanted = {"arguments": arguments, "folder": str(folder), "environment": {**environment}}
    with end, Path(os.devnull).open("r+b") as nothing:
        standard = [stdin or nothing, output or nothing, errors or output or nothing]
        descriptors = [file.fileno() for file in standard] + [end.fileno()]
        socket.send_fds(_asking(), [json.dumps(wanted).encode()], descriptors)
    told.settimeout(START_SECONDS)
    return Program(int(told.recv(STATUS_BYTES)), told)


def run(
    *arguments: str, folder: Path, environment: Mapping[str, str], typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """What comes of a program that ends by itself."""
    with TemporaryFile() as stdin, TemporaryFile() as output, TemporaryFile() as errors:
        stdin.write(typed.encode())
        files = stdin, output, errors
        stdin.seek(0)
        own = start(*arguments, folder=folder, environment=environment, stdin=stdin, output=output, errors=errors)
        status = own.wait()
        for file in files:
            file.seek(0)
        return subprocess.CompletedProcess(arguments, status, output.read().decode(), errors.read().decode())


def outside() -> dict[str, str]:
    """The environment that a program is started in, without any setting of the service."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return kept | {"PYTHONPATH": str(ROOT)}


def end_all() -> None:
    """End whatever was started here and still runs."""
    while _forking:
        own = _forking.pop()
        own.asking.close()
        own.process.wait()


def _asking() -> socket.socket:
    if not _forking:
        asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.forking", str(asked.fileno())]
        with asked:
            process = subprocess.Popen(command, cwd=ROOT, env=outside(), pass_fds=[asked.fileno()])
        _forking.append(_Forking(process, asking))
    return _forking[0].asking
