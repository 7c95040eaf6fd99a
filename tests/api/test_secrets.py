import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.secrets import ACCESS_TOKENS, SIGNED_URLS, derive_key, secret_of
from api.settings import Settings
from api.variables import SettingsError


def test_keys_are_those_of_rfc_5869() -> None:
    # HKDF-SHA256 without salt, computed with another implementation (hmac of the standard library).
    expected = "66ba2ee3061e79660c24f40e81a4880f5e4b7b948f1cbcf2e28c531cf7b06612"
    assert derive_key(b"s" * 32, "cairn/test/v1").hex() == expected


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = {derive_key(b"s" * 32, purpose) for purpose in (ACCESS_TOKENS, SIGNED_URLS, "cairn/access-tokens/v2")}
    assert len(keys) == 3
    assert {len(key) for key in keys} == {32}
    assert derive_key(b"t" * 32, ACCESS_TOKENS) not in keys


def test_a_secret_that_is_set_is_the_one(tmp_path: Path) -> None:
    assert secret_of(Settings.model_validate({"data_folder": tmp_path, "secret_key": "ä" * 32})) == "ä".encode() * 32
    assert list(tmp_path.iterdir()) == []


def test_development_makes_a_secret_and_keeps_it_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "new" / "data")
    secret = secret_of(settings)
    assert len(secret) >= 32
    assert secret_of(settings) == secret
    [kept] = settings.data_folder.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.data_folder.stat().st_mode) == 0o700


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    settings = [Settings(data_folder=tmp_path / str(number)) for number in range(50) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda own: (own.data_folder, secret_of(own)), settings))
    assert len(set(found)) == 50
    assert [list(folder.iterdir()) for folder, _ in found] == [[folder / "secret"] for folder, _ in found]


def test_a_kept_secret_that_is_damaged_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    with pytest.raises(SettingsError, match="holds no secret"):
        secret_of(Settings(data_folder=tmp_path))


def test_a_data_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"CAIRN_DATA_FOLDER: .* cannot be used: Not a directory"):
        secret_of(Settings(data_folder=tmp_path / "file"))
