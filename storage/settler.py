"""The process beside a store that settles its small blobs: `python -m storage.settler FOLDER`.

A request is a line of JSON with the key and size of each blob and the keys whose leases end, and then the bytes; its
answer a line with the digest and CRC-32 of each blob, or the number and text of what went wrong. The first line says
that requests may come. It ends with its input, and so does when the service is killed.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from storage.layout import Layout
from storage.leases import Leases
from storage.settling import Settling, SmallBlob
from storage.store import Stored


def serve(folder: Path, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    layout = Layout(folder, os.fsync)
    layout.open()
    leases = Leases(layout.leases, seconds=0)  # they are renewed by the service
    leases.open()
    settling = Settling(layout, leases)
    _write(answers, {})
    while head := requests.readline():
        request = json.loads(head)
        blobs = [SmallBlob(key, requests.read(size)) for key, size in request["blobs"]]
        fault = _fault_of_ending(leases, request["ended"])
        _write(answers, {"blobs": [_told(outcome) for outcome in settling.settle_all(blobs)], "fault": fault})
    leases.close()
    layout.close()


def _told(outcome: Stored | OSError) -> tuple[object, object]:
    if isinstance(outcome, OSError):
        return outcome.errno, outcome.strerror
    return outcome.digest, outcome.crc32


def _fault_of_ending(leases: Leases, keys: list[str]) -> str | None:
    try:
        leases.end_all(keys)
    except OSError as fault:
        return str(fault)
    return None


def _write(answers: BinaryIO, line: object) -> None:
    answers.write(json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    # Nobody waits for an answer any more when the service was killed.
    with suppress(BrokenPipeError), open(1, "wb", buffering=0) as answers:
        serve(Path(sys.argv[1]), sys.stdin.buffer, answers)
