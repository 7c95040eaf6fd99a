import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.secrets import ACCESS_TOKENS, SIGNED_URLS, derive_key, secrets_of, token_keys
from api.settings import Settings
from api.variables import SettingsError
from domain.tokens import shared_key, signing_keys

NEW, OLD = "n" * 32, "o" * 32
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""


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
    assert secrets_of(Settings.model_validate({"data_folder": tmp_path, "secret_key": "ä" * 32})) == (
        "ä".encode() * 32,
    )
    assert list(tmp_path.iterdir()) == []


def test_development_makes_a_secret_and_keeps_it_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "new" / "data")
    [secret] = secrets_of(settings)
    assert len(secret) >= 32
    assert secrets_of(settings) == (secret,)
    [kept] = settings.data_folder.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.data_folder.stat().st_mode) == 0o700


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    settings = [Settings(data_folder=tmp_path / str(number)) for number in range(50) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda own: (own.data_folder, secrets_of(own)), settings))
    assert len(set(found)) == 50
    assert [list(folder.iterdir()) for folder, _ in found] == [[folder / "secret"] for folder, _ in found]


def test_a_kept_secret_that_is_damaged_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    with pytest.raises(SettingsError, match="holds no secret"):
        secrets_of(Settings(data_folder=tmp_path))


def test_a_data_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"CAIRN_DATA_FOLDER: .* cannot be used: Not a directory"):
        secrets_of(Settings(data_folder=tmp_path / "file"))


def test_secrets_keep_their_order_and_none_counts_twice(tmp_path: Path) -> None:
    given = f"{NEW}, {OLD}, {NEW}"
    settings = Settings.model_validate({"data_folder": tmp_path, "secret_key": given})
    assert secrets_of(settings) == (NEW.encode(), OLD.encode())


def test_signing_keys_stand_before_what_is_derived_from_secrets(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(PEM)
    given = (NEW.encode(), OLD.encode())
    shared = [shared_key(derive_key(secret, ACCESS_TOKENS)).id for secret in given]
    [signing] = signing_keys(PEM)
    for setting in (
        {},
        {"signing_key": PEM},
        {"signing_key": PEM.strip().replace("\n", "\\n")},
        {"signing_key": PEM + PEM},
        {"signing_key_file": path},
    ):
        keys = token_keys(Settings.model_validate(setting), given)
        assert [key.id for key in keys] == [signing.id, *shared] if setting else shared


def test_a_signing_key_that_cannot_be_used_is_a_sentence_without_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"\xff not a key")
    for setting, sentence in (
        ({"signing_key": "hunter2"}, "CAIRN_SIGNING_KEY: should hold an Ed25519 private key in PEM, and nothing else"),
        ({"signing_key_file": path}, "CAIRN_SIGNING_KEY_FILE: should hold an Ed25519 private key in PEM"),
        ({"signing_key_file": tmp_path / "none"}, "CAIRN_SIGNING_KEY_FILE: cannot be read: No such file"),
        ({"signing_key_file": tmp_path}, "CAIRN_SIGNING_KEY_FILE: cannot be read: Is a directory"),
    ):
        with pytest.raises(SettingsError, match=sentence) as caught:
            token_keys(Settings.model_validate(setting), (NEW.encode(),))
        assert "hunter2" not in str(caught.value)
