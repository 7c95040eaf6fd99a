import io
from pathlib import Path

import pytest

from storage.appending import Appending
from storage.digest import Tally

PIECE = bytes(range(256)) * 4096  # 1 MiB
COUNT = 90


@pytest.mark.parametrize("tally", [Tally(), None], ids=["summed up as it comes", "summed up later"])
def test_a_large_file_has_all_its_bytes_whatever_the_disk_was_told_about_them(
    tmp_path: Path, tally: Tally | None
) -> None:
    path = tmp_path / "file"
    with io.FileIO(path, "w") as file:
        appending = Appending(file, tally=tally)
        for number in range(COUNT):
            appending.append([number.to_bytes(2, "big"), PIECE])
        assert appending.position == COUNT * (len(PIECE) + 2)
    assert tally is None or tally.size == appending.position
    with path.open("rb") as written:
        assert all(written.read(len(PIECE) + 2) == number.to_bytes(2, "big") + PIECE for number in range(COUNT))
        assert written.read() == b""


@pytest.mark.parametrize(("pieces", "counted"), [([PIECE] * COUNT, COUNT * len(PIECE)), ([b"few bytes"], 0)])
def test_a_write_that_fails_leaves_no_sum_in_the_making(tmp_path: Path, pieces: list[bytes], counted: int) -> None:
    path, tally = tmp_path / "file", Tally()
    path.touch()
    with io.FileIO(path, "r") as file, pytest.raises(OSError, match="Bad file descriptor"):
        Appending(file, tally=tally).append(pieces)
    assert tally.size == counted
