from collections.abc import Mapping
from pathlib import Path

import pytest

from api.variables import Origin, SettingsError, load_settings, read_settings, variable_of

PASSWORD = "hunter2hunter2"


def problems(environ: Mapping[str, str], env_file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, env_file)
    return list(caught.value.problems)


def env_file(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text)
    return path


def test_a_variable_is_the_name_in_capitals() -> None:
    assert variable_of("maximum_file_bytes") == "CAIRN_MAXIMUM_FILE_BYTES"
    assert load_settings({"CAIRN_MAXIMUM_FILE_BYTES": "1 MiB"}, None).maximum_file_bytes == 1024**2


def test_hosting_platforms_names_are_read() -> None:
    settings = load_settings(
        {"DATABASE_URL": "postgres://h/d", "REDIS_URL": "redis://h", "SECRET_KEY": "x" * 32, "PORT": "81"}, None
    )
    assert settings.database_url == "postgresql+asyncpg://h/d"
    assert settings.redis_url == "redis://h"
    assert settings.secret_key is not None
    assert settings.port == 81


def test_our_own_name_wins_even_from_the_file(tmp_path: Path) -> None:
    path = env_file(tmp_path, "CAIRN_PORT=82\n")
    assert load_settings({"CAIRN_PORT": "81", "PORT": "80"}, path).port == 81
    assert load_settings({"PORT": "80"}, path).port == 82


def test_the_environment_wins_over_the_file_for_the_same_name(tmp_path: Path) -> None:
    path = env_file(tmp_path, "PORT=82\nCAIRN_LOG_LEVEL=debug\n")
    assert load_settings({"PORT": "80", "CAIRN_LOG_LEVEL": "error"}, path).port == 80


def test_a_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    secret = "a${HOME}b; and thirty more characters"
    text = f"# ours\nexport CAIRN_PORT='82' # inline\nCAIRN_SECRET_KEY=\"{secret}\"\n\nOTHER=1\nBARE\n"
    settings = load_settings({}, env_file(tmp_path, text))
    assert settings.port == 82
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == secret


def test_a_file_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path / ".env").port == 8000


def test_the_process_own_environment_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAIRN_PORT", "83")
    assert load_settings().port == 83


def test_an_empty_variable_counts_as_absent() -> None:
    assert load_settings({"CAIRN_PORT": " ", "PORT": "81", "CAIRN_REDIS_URL": ""}, None).port == 81


def test_every_problem_is_reported_at_once_under_the_name_that_was_used(tmp_path: Path) -> None:
    found = problems(
        {
            "CAIRN_ENVIRONMENT": "production",
            "PORT": "eighty",
            "DATABASE_URL": "mysql://u:p@h/d",
            "SECRET_KEY": PASSWORD,
            "CAIRN_REDIS_URL": f"http://{PASSWORD}",
            "CAIRN_MAXIMUM_FILES": "0",
            "CAIRN_TRUSTED_PROXIES": "10.0.0.0/8,proxy",
            "CAIRN_MAXIMUM_FILE_BYTE": "1",
            "CAIRN_STALL_SECONDS": "inf",
        },
        env_file(tmp_path, "CAIRN_LOG_LEVEL=loud\n=x\n"),
    )
    names = [problem.partition(":")[0] for problem in found]
    assert sorted(names) == sorted(
        [
            "PORT",
            "DATABASE_URL",
            "SECRET_KEY",
            "CAIRN_REDIS_URL",
            "CAIRN_PUBLIC_URL",
            "CAIRN_MAXIMUM_FILES",
            "CAIRN_TRUSTED_PROXIES",
            "CAIRN_MAXIMUM_FILE_BYTE",
            "CAIRN_STALL_SECONDS",
            "CAIRN_LOG_LEVEL",
            str(tmp_path / ".env"),
        ]
    )
    assert all("\n" not in problem for problem in found)


def test_a_wrong_value_is_shown_but_never_a_secret_one() -> None:
    found = "\n".join(
        problems(
            {
                "PORT": "eighty",
                "DATABASE_URL": f"mysql://u:{PASSWORD}@h/d",
                "REDIS_URL": f"http://:{PASSWORD}@h",
                "CAIRN_PUBLIC_URL": f"https://u:{PASSWORD}@h",
                "CAIRN_ENVIRONMENT": "production",
                "SECRET_KEY": PASSWORD,
            }
        )
    )
    assert "'eighty'" in found
    assert PASSWORD not in found


def test_an_unknown_variable_is_reported_with_what_may_have_been_meant() -> None:
    assert problems({"CAIRN_MAXIMUM_FILE": "1"}) == [
        "CAIRN_MAXIMUM_FILE: there is no such setting; did you mean CAIRN_MAXIMUM_FILES?"
    ]
    assert problems({"CAIRN_ZZZ_QQQ": "1"}) == ["CAIRN_ZZZ_QQQ: there is no such setting"]
    assert problems({"CAIRN_port": "1"})[0].startswith("CAIRN_port: there is no such setting")


def test_what_the_tests_are_told_is_not_the_services_business() -> None:
    assert load_settings({"CAIRN_TEST_POSTGRES": "postgresql://h"}, None).port == 8000


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert problems({}, tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]
    (tmp_path / ".env").write_bytes(b"CAIRN_PORT=\xff\n")
    assert problems({}, tmp_path / ".env") == [f"{tmp_path / '.env'}: cannot be read: not UTF-8"]


def test_a_reading_tells_where_each_value_was_found(tmp_path: Path) -> None:
    path = env_file(tmp_path, "CAIRN_LOG_LEVEL=debug\n")
    reading = read_settings({"PORT": "80"}, path)
    assert reading.origins == {
        "port": Origin("PORT", "the environment"),
        "log_level": Origin("CAIRN_LOG_LEVEL", str(path)),
    }
