"""Several processes that serve the same sockets, and the one above them, which replaces what died and ends them all.

They are forked from it, so that what it has read is in memory once. It has neither event loop nor thread, and may fork
at any time. What they stop by is a pipe that it holds open: that ends when it lets go of it, and also when it is
killed. A signal from it would be one too many where somebody has sent one to all of them, as systemd and terminals do,
since a second signal has a process drop what is in flight.
"""

import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from api.logs import get_logger

ENDED, BROKEN, NOT_STARTED = 0, 1, 3
"""Exit statuses of a process: it was told to end, it broke, it could not begin to serve."""
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STOPS = frozenset({signal.SIGINT, signal.SIGTERM})
_log = get_logger(__name__)

Serve: TypeAlias = Callable[[int, int], bool]
"""Serves as the process of this number until this descriptor ends. Whether it began to."""


@dataclass(slots=True)
class _Child:
    """A process, running or due to be started. `failures` counts how often in a row it could not begin to serve."""

    number: int
    pid: int | None = None
    starts: int = 0
    failures: int = 0
    due_at: float = 0.0


class Supervisor:
    """Has `serve` run in so many processes."""

    def __init__(self, count: int, serve: Serve, sockets: Sequence[socket.socket]) -> None:
        self._children = [_Child(number) for number in range(count)]
        self._serve = serve
        self._sockets = sockets
        self._watched, self._held = os.pipe()
        self._is_stopping = False
        self._has_begun = True

    def run(self) -> bool:
        """Go on until SIGINT or SIGTERM, and all have ended. False when one could not begin to serve at the start.

        A second signal has them drop what is in flight.
        """
        gc.collect()
        gc.freeze()
        with _signals() as heard:
            while not self._is_stopping:
                self._start_what_is_due()
                self._is_stopping = bool(STOPS & _next(heard, self._pause()))
                self._note_what_ended()
            self._let_go()
            while self._running():
                if STOPS & _next(heard, None):
                    self._hurry()
                self._note_what_ended()
        return self._has_begun

    def _running(self) -> list[int]:
        return [child.pid for child in self._children if child.pid is not None]

    def _pause(self) -> float | None:
        due = [child.due_at for child in self._children if child.pid is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_what_is_due(self) -> None:
        for child in self._children:
            if child.pid is None and child.due_at <= time.monotonic():
                child.starts += 1
                child.due_at = time.monotonic() + PAUSE_SECONDS
                child.pid = os.fork() or self._become(child)

    def _become(self, child: _Child) -> NoReturn:
        """Be the new process, to its end: nothing of what the one above has yet to do is done here too."""
        status = BROKEN
        try:
            _forget_signals()
            os.close(self._held)
            status = ENDED if self._serve(child.number, self._watched) else NOT_STARTED
        except Exception:  # noqa: BLE001 - whatever it is, it is told here or nowhere
            traceback.print_exc()
        finally:
            with suppress(OSError):  # whoever read them may have gone, which keeps no process from ending
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _note_what_ended(self) -> None:
        for pid, status in _ended():
            for child in self._children:
                if child.pid == pid:
                    child.pid = None
                    if not self._is_stopping:
                        self._replace(child, status)

    def _replace(self, child: _Child, status: int) -> None:
        child.failures = child.failures + 1 if status == NOT_STARTED else 0
        if child.failures and child.starts == 1:
            # It has said why, and the others would have to say the same, or to do its work.
            self._is_stopping, self._has_begun = True, False
            return
        if child.failures:
            pause = min(PAUSE_SECONDS * 2**child.failures, LONGEST_PAUSE_SECONDS)
            child.due_at = time.monotonic() + pause
        _log.warning("a process ended and is started again", number=child.number, status=status)

    def _let_go(self) -> None:
        os.close(self._held)
        # Those below close theirs: as long as one is open, connections would wait in it for nobody.
        for own in self._sockets:
            own.close()

    def _hurry(self) -> None:
        for pid in self._running():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _ended() -> Iterator[tuple[int, int]]:
    """Processes that have ended since, with their exit statuses; that of a signal is negative."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            yield pid, os.waitstatus_to_exitcode(status)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Where signals can be read from, by number, instead of doing what they do."""
    heard, told = socket.socketpair()
    with heard, told:
        heard.settimeout(0)
        told.settimeout(0)
        for number in (*STOPS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        try:
            yield heard
        finally:
            _forget_signals()


def _forget_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (*STOPS, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def _next(heard: socket.socket, seconds: float | None) -> set[int]:
    """Signals that have come meanwhile, once one has, or after so long."""
    select.select([heard], [], [], seconds)
    with suppress(BlockingIOError):
        return set(heard.recv(4096))
    return set()
