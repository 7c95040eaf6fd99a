"""A process that has read all modules of the service, and becomes programs of it: `python -m tests.forking FD`.

To read them takes two seconds of a processor, and to fork a hundredth. Whoever holds the other end of the socket FD
asks for programs by `tests.programs`; when it is gone, so are this process and all that it has started.
"""

import atexit
import ctypes
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from typing import NoReturn

import api.commands  # noqa: F401 - read here so that no program has to
from schema.schema import build_schema

PR_SET_PDEATHSIG = 1
MESSAGE_BYTES = 1 << 17
DESCRIPTORS = 4
"""Standard input, output and errors, and the end of a socket that is told what becomes of the program."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A program: what `python -m` would be given, and where it runs."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]


@dataclass(slots=True)
class Forks:
    """The programs that were started, by their ids, and who is told of their ends."""

    asked: socket.socket
    _told: dict[int, socket.socket] = field(default_factory=dict)

    def serve(self) -> Wanted | None:
        """Start programs until nobody asks any more: then None. In each program, what it is to be."""
        woken, waking = socket.socketpair()
        waking.settimeout(0)
        signal.set_wakeup_fd(waking.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self.asked, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if woken in ready:
                    woken.recv(MESSAGE_BYTES)
                    self._tell_of_ends()
                if self.asked in ready:
                    message, descriptors, *_ = socket.recv_fds(self.asked, MESSAGE_BYTES, DESCRIPTORS)
                    if not message:
                        return None
                    wanted = Wanted(**json.loads(message))
                    if self._fork(descriptors):
                        return wanted

    def _fork(self, descriptors: list[int]) -> bool:
        """Whether this is the program, and no longer the process that started it."""
        *standard, end = descriptors
        told = socket.socket(fileno=end)
        assert threading.active_count() == 1, "a lock that another thread holds would be held for ever"
        pid = os.fork()
        if pid == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number, descriptor in enumerate(standard):
                os.dup2(descriptor, number)
            self.asked.close()
            for other in (told, *self._told.values()):
                other.close()
        else:
            told.sendall(f"{pid}\n".encode())
            self._told[pid] = told
        for descriptor in standard:
            os.close(descriptor)
        return pid == 0

    def _tell_of_ends(self) -> None:
        for pid in [*self._told]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with self._told.pop(pid) as told:
                    told.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def become(wanted: Wanted) -> None:
    """Run what `python -m` would run."""
    os.chdir(wanted.folder)
    os.environ.clear()
    os.environ.update(wanted.environment)
    sys.argv = wanted.arguments
    try:
        runpy.run_module(wanted.arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as said:
        if not isinstance(said.code, int | None):
            raise
        _end(said.code or 0)
    _end(0)


def _end(status: int) -> NoReturn:
    # What the interpreter does, but for taking apart all that was read: that copies the memory it lies in, and costs as
    # much as the start. The programs that start cold are taken apart.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keys that interrupt a test run are not meant for it
    build_schema()
    gc.collect()
    gc.freeze()  # for the programs, too: a collector that looks through what was read copies it
    if (program := Forks(socket.socket(fileno=int(sys.argv[1]))).serve()) is not None:
        become(program)
