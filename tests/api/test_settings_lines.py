import pytest

from api.settings import Settings
from api.settings_lines import lines, masked
from api.variables import load_settings, read_settings, variable_of


def shown(environ: dict[str, str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines(read_settings(environ, None)))


def test_every_setting_is_shown_with_where_it_comes_from() -> None:
    found = shown({"PORT": "81", "CAIRN_STALL_SECONDS": "2.50", "CAIRN_GRAPHIQL": "no"})
    assert list(found) == [variable_of(field) for field in Settings.model_fields]
    assert found["CAIRN_PORT"] == "81  # PORT in the environment"
    assert found["CAIRN_STALL_SECONDS"] == "2.5  # CAIRN_STALL_SECONDS in the environment"
    assert found["CAIRN_GRAPHIQL"] == "false  # CAIRN_GRAPHIQL in the environment"
    assert found["CAIRN_REDIS_URL"] == "  # default"
    assert found["CAIRN_BLOCKED_EXTENSIONS"].startswith("app,bat,cmd,com,")


def test_secrets_are_masked() -> None:
    found = shown(
        {
            "SECRET_KEY": "hunter2" * 5,
            "CAIRN_SIGNING_KEY": "hunter2",
            "DATABASE_URL": "postgres://u:hunter2@h/d",
            "REDIS_URL": "rediss://:hunter2@h:1/0",
            "CAIRN_SMTP_URL": "smtp://u:hunter2@h:587",
            "CAIRN_MAIL_FROM": "a@b.org",
        }
    )
    assert "hunter2" not in str(found)
    assert found["CAIRN_SECRET_KEY"] == "********  # SECRET_KEY in the environment"
    assert found["CAIRN_SIGNING_KEY"] == "********  # CAIRN_SIGNING_KEY in the environment"
    assert found["CAIRN_DATABASE_URL"].startswith("postgresql+asyncpg://u:********@h/d  #")
    assert found["CAIRN_REDIS_URL"].startswith("rediss://:********@h:1/0  #")
    assert found["CAIRN_SMTP_URL"].startswith("smtp://u:********@h:587  #")


def test_what_is_shown_can_be_read_again() -> None:
    given = {
        "CAIRN_TRUSTED_PROXIES": "10.0.0.0/8,::1",
        "CAIRN_MAXIMUM_FILE_BYTES": "1MiB",
        "CAIRN_PORT": "82",
        "CAIRN_COST_PER_USER": "9/2days",
    }
    again = {name: rest.partition("  # ")[0] for name, rest in shown(given).items()}
    assert load_settings(again, None) == load_settings(given, None)


@pytest.mark.parametrize(
    ("url", "shown_as"),
    [
        ("postgresql://h/d?user=u&password=hunter2&ssl=1", "postgresql://h/d?user=u&password=********&ssl=1"),
        ("postgresql://u:a:b@h/d", "postgresql://u:********@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_only_passwords_are_masked(url: str, shown_as: str) -> None:
    assert masked(url) == shown_as
