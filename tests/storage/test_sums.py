from pathlib import Path

import pytest

from storage import sums
from storage.digest import Tally
from storage.sums import Sums


def test_sums_are_remembered_for_so_many_and_only_while_nobody_else_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "_REMEMBERED", 2)
    sums_kept = Sums()
    with (tmp_path / "bytes").open("wb") as file:
        for name in "abc":
            sums_kept.remember(name, file.fileno(), Tally())
        assert [sums_kept.has(name, 0) for name in "abc"] == [False, True, True]
        assert sums_kept.take("b", file.fileno()) is not None
        assert sums_kept.take("b", file.fileno()) is None
        file.write(b"another process")
        file.flush()
        assert sums_kept.take("c", file.fileno()) is None
