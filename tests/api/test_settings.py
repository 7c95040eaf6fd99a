from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from api.settings import GIB, Settings, local_url
from db.rates import Rate
from domain.policy import Limit

SECRET = "s" * 32
PRODUCTION = {"environment": "production", "secret_key": SECRET, "public_url": "https://files.example.org"}


def test_development_needs_no_setting_at_all() -> None:
    settings = Settings()
    assert settings.database_url == "sqlite+aiosqlite:///.data/cairn.db"
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert settings.maximum_file_bytes == 5 * GIB
    assert settings.maximum_request_bytes == 20 * GIB
    assert {"pdf", "docx", "7z", "webp"} <= settings.allowed_extensions
    assert {"exe", "ps1", "jar"} <= settings.blocked_extensions
    assert not settings.allowed_extensions & settings.blocked_extensions


def test_the_environment_of_the_process_is_not_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("CAIRN_PORT", "2")
    assert Settings().port == 8000


def test_the_embedded_database_lies_in_the_data_folder(tmp_path: Path) -> None:
    assert Settings(data_folder=tmp_path).database_url == f"sqlite+aiosqlite:///{tmp_path}/cairn.db"


def test_production_listens_on_every_address() -> None:
    assert Settings.model_validate(PRODUCTION).host == "0.0.0.0"


def test_production_needs_a_secret_and_a_public_url_and_says_so_together() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(environment="production")
    assert {error["loc"][0] for error in caught.value.errors()} >= {"secret_key", "public_url"}


@pytest.mark.parametrize("secret", ["", "s" * 31])
def test_production_refuses_a_short_secret(secret: str) -> None:
    with pytest.raises(ValidationError, match="32 random bytes"):
        Settings.model_validate(PRODUCTION | {"secret_key": secret})


@pytest.mark.parametrize("secrets", [f"{SECRET},short", f"short,{SECRET}", ",,", f"{'s' * 31},"])
def test_every_secret_of_a_list_is_long_enough(secrets: str) -> None:
    with pytest.raises(ValidationError, match="32 random bytes"):
        Settings.model_validate(PRODUCTION | {"secret_key": secrets})
    Settings.model_validate(PRODUCTION | {"secret_key": f"{SECRET}, {'t' * 32},"})


def test_a_signing_key_stands_in_one_place() -> None:
    with pytest.raises(ValidationError, match="cannot be set beside CAIRN_SIGNING_KEY"):
        Settings.model_validate({"signing_key": "key", "signing_key_file": "key.pem"})


def test_the_length_of_a_secret_is_counted_in_bytes() -> None:
    assert Settings.model_validate(PRODUCTION | {"secret_key": "ä" * 16}).secret_key is not None


def test_a_request_must_have_room_for_the_largest_file() -> None:
    with pytest.raises(ValidationError, match="CAIRN_MAXIMUM_FILE_BYTES"):
        Settings(maximum_file_bytes=100, maximum_request_bytes=99)


def test_a_mail_server_needs_a_sender_and_both_are_judged() -> None:
    with pytest.raises(ValidationError, match="is needed with CAIRN_SMTP_URL"):
        Settings(smtp_url="smtp://h")
    with pytest.raises(ValidationError, match=r"should be a URL such as smtp://"):
        Settings(smtp_url="h:25", mail_from="a@b.org")
    with pytest.raises(ValidationError, match=r"should be an address such as files@example\.org"):
        Settings(mail_from="nobody")
    assert Settings(smtp_url="smtp://h", mail_from="a@b.org").worker


def test_rates_are_written_as_so_much_in_some_time() -> None:
    assert Settings.model_validate({"requests_per_user": "5/10 minutes"}).requests_per_user == Rate(5, 600)
    with pytest.raises(ValidationError, match="should be a rate such as 600/minute"):
        Settings.model_validate({"requests_per_user": "5"})


def test_every_limit_has_its_setting() -> None:
    assert {limit.replace("-", "_") for limit in Limit} <= set(Settings.model_fields)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


def test_secrets_do_not_show_in_what_is_printed() -> None:
    settings = Settings.model_validate(
        PRODUCTION | {"database_url": "postgres://u:hunter2@h/d", "redis_url": "redis://:hunter2@h"}
    )
    assert "hunter2" not in repr(settings) + str(settings)
    assert SECRET not in repr(settings) + str(settings)


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")] == []


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://localhost:80"),
        ("::", "http://localhost:80"),
        ("::1", "http://[::1]:80"),
        ("10.0.0.7", "http://10.0.0.7:80"),
    ],
)
def test_a_local_url_can_be_opened_in_a_browser(host: str, url: str) -> None:
    assert local_url(host, 80) == url


@pytest.mark.parametrize("token", ["short", "ä" * 20, "line\nbreak of a token"])
def test_a_token_for_metrics_is_long_enough_and_can_stand_in_a_head(token: str) -> None:
    with pytest.raises(ValidationError, match="at least 16 characters of ASCII"):
        Settings.model_validate({"metrics_token": token})


def test_metrics_and_the_service_have_ports_of_their_own() -> None:
    with pytest.raises(ValidationError, match="must be another port than CAIRN_PORT"):
        Settings(port=9000, metrics_port=9000)
    assert Settings(port=9000, metrics_port=9001).metrics_host == "127.0.0.1"


def test_several_processes_need_a_database_that_can_be_shared() -> None:
    with pytest.raises(ValidationError, match="several processes need PostgreSQL: set DATABASE_URL"):
        Settings(processes=2)
    assert Settings.model_validate({"processes": 2, "database_url": "postgresql://db/cairn"}).processes == 2


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"metrics_token": "t" * 16}, "is needed where several processes have metrics"),
        ({"metrics_port": 65535}, "leaves no ports for the other processes"),
        ({"metrics_port": 7999}, "must be another port than CAIRN_PORT"),
    ],
)
def test_metrics_of_several_processes_have_a_port_each(given: dict[str, Any], problem: str) -> None:
    shared = {"processes": 2, "database_url": "postgresql://db/cairn", "port": 8000}
    with pytest.raises(ValidationError, match=problem):
        Settings.model_validate(shared | given)
