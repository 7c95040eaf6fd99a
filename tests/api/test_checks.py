from pathlib import Path

import pytest
from typer.testing import CliRunner

from api import commands
from api.checks import check
from api.settings import Settings
from db.engine import NotMigrated
from storage.keys import new_key, path_of

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def said(settings: Settings, **options: bool) -> tuple[bool, list[str]]:
    lines: list[str] = []
    given = {"repair": False, "digests": False} | options
    return await check(settings, **given, tell=lines.append), lines


async def test_findings_are_lines_and_the_last_one_sums_up(settings: Settings) -> None:
    assert await said(settings, digests=True) == (True, ["Records and bytes agree: 0 blobs compared."])
    key = new_key()
    stray = settings.data_folder / "incoming" / key
    stray.write_bytes(b"left behind")
    eager = settings.model_copy(update={"orphan_seconds": 0})
    is_well, lines = await said(eager)
    assert not is_well
    assert lines == [
        f"STRAY  {key}  11 bytes  Unfinished bytes of no upload.",
        "0 blobs compared: 1 findings, 0 of them repaired.",
    ]
    assert await said(settings) == (True, ["Records and bytes agree: 0 blobs compared."]), "it is young"


async def test_a_database_that_is_not_migrated_is_not_compared(settings: Settings, tmp_path: Path) -> None:
    other = settings.model_copy(update={"database_url": f"sqlite+aiosqlite:///{tmp_path / 'empty.sqlite'}"})
    with pytest.raises(NotMigrated):
        await said(other)


def test_the_command_exits_as_it_found_things(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAIRN_DATABASE_URL", database_url)
    monkeypatch.setenv("CAIRN_DATA_FOLDER", str(tmp_path / "data"))
    monkeypatch.setenv("CAIRN_ORPHAN_SECONDS", "1")
    monkeypatch.setattr(commands, "configure_logs", lambda *_: None)
    done = CliRunner().invoke(commands.commands, ["check"])
    assert (done.exit_code, done.stdout) == (0, "Records and bytes agree: 0 blobs compared.\n")
    blob = tmp_path / "data/blobs" / path_of(new_key())
    blob.parent.mkdir()
    blob.write_bytes(b"")
    monkeypatch.setattr(commands, "check", _unwell)
    assert CliRunner().invoke(commands.commands, ["check", "--repair"]).exit_code == 1
    monkeypatch.setattr(commands, "check", check)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/blobs").write_bytes(b"")
    monkeypatch.setenv("CAIRN_DATA_FOLDER", str(tmp_path / "other"))
    broken = CliRunner().invoke(commands.commands, ["check"])
    assert broken.exit_code == 1
    assert broken.stderr.startswith("The store cannot be used: ")


async def _unwell(*_settings: Settings, **_options: object) -> bool:
    return False
