"""Small blobs are settled whole or not at all, each for itself."""

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from storage import settler
from storage.keys import new_key, path_of
from storage.layout import Layout
from storage.leases import Leases
from storage.settling import Settling, SmallBlob
from storage.store import Stored
from tests.storage.blobs import files_below, open_files, sums, sums_of


class Disk:
    """Syncs that fail from a certain one on."""

    def __init__(self) -> None:
        self.left = 1 << 30

    def __call__(self, descriptor: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.EIO, "the disk is broken")
        os.fsync(descriptor)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def settling(tmp_path: Path, disk: Disk) -> Iterator[Settling]:
    layout = Layout(tmp_path, disk)
    layout.open()
    leases = Leases(layout.leases, 60)
    leases.open()
    yield Settling(layout, leases)
    leases.close()
    layout.close()


def small(data: bytes = b"abc", key: str | None = None) -> SmallBlob:
    return SmallBlob(key or new_key(), data)


def places(*blobs: SmallBlob) -> list[str]:
    return sorted(place for blob in blobs for place in (f"leases/{blob.key}", f"blobs/{path_of(blob.key)}"))


@pytest.mark.parametrize("count", [1, 20])
def test_blobs_are_in_their_places_with_leases_and_summed_up(tmp_path: Path, settling: Settling, count: int) -> None:
    blobs = [small(os.urandom(number * 100)) for number in range(count)]
    outcomes = settling.settle_all(blobs)
    for blob, outcome in zip(blobs, outcomes, strict=True):
        assert isinstance(outcome, Stored)
        assert (outcome.key, *sums_of(outcome)) == (blob.key, *sums(blob.data))
        assert (tmp_path / "blobs" / path_of(blob.key)).read_bytes() == blob.data
    assert files_below(tmp_path) == places(*blobs)
    assert open_files(tmp_path) == []


def test_what_was_settled_is_undone(tmp_path: Path, settling: Settling) -> None:
    settling.undo(settling.settle(small()))
    assert files_below(tmp_path) == []


def test_one_that_fails_keeps_no_other_from_it(tmp_path: Path, settling: Settling) -> None:
    there = small(b"first")
    settling.settle(there)
    in_flight, twice = small(b"second", there.key), small()
    outcomes = settling.settle_all([small(), in_flight, twice, twice._replace(data=b"other")])
    assert [type(outcome) for outcome in outcomes] == [Stored, FileExistsError, Stored, FileExistsError]
    assert (tmp_path / "blobs" / path_of(there.key)).read_bytes() == b"first"
    assert (tmp_path / "blobs" / path_of(twice.key)).read_bytes() == twice.data
    with pytest.raises(FileExistsError):
        settling.settle(in_flight)


def test_what_lies_in_its_place_is_left_there(tmp_path: Path, settling: Settling) -> None:
    there = small(b"first")
    settling.settle(there)
    (tmp_path / "leases" / there.key).unlink()
    with pytest.raises(FileExistsError):
        settling.settle(small(b"second", there.key))
    assert (tmp_path / "blobs" / path_of(there.key)).read_bytes() == b"first"
    assert files_below(tmp_path / "leases") == []


@pytest.mark.parametrize("step", range(5))
def test_where_the_disk_breaks_nothing_is_left(tmp_path: Path, settling: Settling, disk: Disk, step: int) -> None:
    """The syncs of two files, of the folder of their folder, and of their folder for each."""
    blobs = [small(key=f"ab{new_key()[2:]}") for _ in range(2)]
    disk.left = step
    outcomes = settling.settle_all(blobs)
    settled = [blob for blob, outcome in zip(blobs, outcomes, strict=True) if isinstance(outcome, Stored)]
    assert len(settled) == (1 if step == 4 else 0)
    assert files_below(tmp_path) == places(*settled)
    assert open_files(tmp_path) == []


def test_what_cannot_be_removed_keeps_its_lease(
    tmp_path: Path, settling: Settling, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = small()
    disk.left = 2
    monkeypatch.setattr(Layout, "remove", failing(errno.EROFS))
    with pytest.raises(OSError, match="broken"):
        settling.settle(blob)
    assert files_below(tmp_path) == places(blob)


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_write_that_the_system_cuts_short_is_continued(
    tmp_path: Path, settling: Settling, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: written(descriptor, data[:1000], at))
    blob = small(os.urandom(4321))
    assert sums_of(settling.settle(blob)) == sums(blob.data)
    assert (tmp_path / "blobs" / path_of(blob.key)).read_bytes() == blob.data


def test_the_program_answers_line_by_line_until_its_input_ends(tmp_path: Path) -> None:
    first, second, again, cut = small(b"abc"), small(b""), small(b"abc"), small()
    (tmp_path / "leases").mkdir()
    (tmp_path / "leases" / "stuck").mkdir()
    requests = BytesIO(
        f'{{"blobs": [["{first.key}", 3], ["{second.key}", 0]], "ended": []}}\nabc'
        f'{{"blobs": [["{again.key}", 3], ["{second.key}", 1]], "ended": ["{first.key}", "stuck"]}}\nabcd'
        f'{{"blobs": [["{cut.key}", 3]], "ended": []}}\nab'.encode()
    )
    answers = BytesIO()
    settler.serve(tmp_path, requests, answers)
    folder, *answered = map(json.loads, answers.getvalue().splitlines())
    found = (tmp_path / "leases").stat()
    assert folder == [found.st_dev, found.st_ino]
    assert answered == [
        {"blobs": [[*sums(b"abc")[1:]], [*sums(b"")[1:]]], "fault": None},
        {
            "blobs": [[*sums(b"abc")[1:]], [17, f"[Errno 17] File exists: '{second.key}'"]],
            "fault": "[Errno 21] Is a directory: 'stuck'",
        },
    ]
    assert files_below(tmp_path / "leases") == sorted([second.key, again.key])


class Busy:
    """A disk that takes a while for each sync, and notes how many it has at once."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()
        self._sync = os.fsync

    def __call__(self, descriptor: int) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.05)
        self._sync(descriptor)
        with self._lock:
            self._now -= 1


def test_the_program_has_the_disk_sync_several_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", busy := Busy())
    blobs = [[new_key(), 3] for _ in range(8)]
    answers = BytesIO()
    settler.serve(tmp_path, BytesIO(json.dumps({"blobs": blobs, "ended": []}).encode() + b"\n" + b"abc" * 8), answers)
    assert json.loads(answers.getvalue().splitlines()[1])["blobs"] == [[*sums(b"abc")[1:]]] * 8
    assert busy.most > 1
