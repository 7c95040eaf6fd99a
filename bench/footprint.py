"""What a server takes of the machine while it works: memory and processor time."""

import threading
from pathlib import Path
from typing import Self

import psutil

PAUSE_SECONDS = 0.01
PAGE_BYTES = 4096


def processes_of(pid: int) -> list[int]:
    """A server's process and those that it has started."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def resident_bytes(pids: list[int]) -> int:
    """The resident memory of processes now. Reads /proc alone: it is asked a hundred times a second."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * PAGE_BYTES


def processor_seconds(pids: list[int]) -> float:
    """The processor time that processes have taken since their start."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(time.user + time.system for time in times)


class Footprint:
    """What a server takes while the block runs: its largest resident memory in bytes, and processor seconds."""

    def __init__(self, pid: int) -> None:
        self._pids = processes_of(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak = 0
        self._seconds_before = 0.0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._seconds_before = processor_seconds(self._pids)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.seconds = processor_seconds(self._pids) - self._seconds_before

    def _watch(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            self.peak = max(self.peak, resident_bytes(self._pids))
