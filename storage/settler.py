"""The process beside a store that settles its small blobs: `python -m storage.settler FOLDER`.

It is asked by the socket that is its standard input. A request is a line of JSON with the key and size of each blob and
the keys whose leases end, and then the bytes; its answer a line with the digest and CRC-32 of each blob, or the number
and text of what went wrong. Its first line tells which folder it has found, and that requests may come. It ends with
its input, and so does when the service is killed.
"""

import json
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from storage.layout import Layout
from storage.leases import Leases
from storage.settling import Settling, SmallBlob
from storage.store import Stored

# Enough to let the disk take several syncs as one.
_THREADS = 8


def serve(folder: Path, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more, or one is cut short."""
    layout = Layout(folder, os.fsync)
    layout.open()
    leases = Leases(layout.leases, seconds=0)  # they are renewed by the service
    leases.open()
    with ThreadPoolExecutor(_THREADS) as threads:
        settling = Settling(layout, leases, threads.map)
        _write(answers, layout.identity)
        while (head := requests.readline()).endswith(b"\n"):
            request = json.loads(head)
            blobs = [SmallBlob(key, requests.read(size)) for key, size in request["blobs"]]
            if any(len(blob.data) != size for blob, (_, size) in zip(blobs, request["blobs"], strict=True)):
                break
            fault = _fault_of_ending(leases, request["ended"])
            _write(answers, {"blobs": [_told(outcome) for outcome in settling.settle_all(blobs)], "fault": fault})
    leases.close()
    layout.close()


def _told(outcome: Stored | OSError) -> tuple[object, object]:
    if isinstance(outcome, OSError):
        return outcome.errno, str(outcome)
    return outcome.digest, outcome.crc32


def _fault_of_ending(leases: Leases, keys: list[str]) -> str | None:
    try:
        leases.end_all(keys)
    except OSError as fault:
        return str(fault)
    return None


def _write(answers: BinaryIO, line: object) -> None:
    answers.write(json.dumps(line).encode() + b"\n")
    answers.flush()


def main() -> None:
    """Serve whoever started this."""
    # What ends it is the end of its input: a service that is told to stop has uploads that go on until they are done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    own = socket.socket(fileno=0)
    # Nobody waits for an answer any more when the service was killed.
    with own, suppress(ConnectionError), own.makefile("rb") as requests, own.makefile("wb") as answers:
        serve(Path(sys.argv[1]), requests, answers)


if __name__ == "__main__":
    main()
