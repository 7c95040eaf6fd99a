import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from sqlalchemy import select
from sqlmodel import col

from api import logs
from db.engine import Database
from db.models import Workspace
from tests.records import NOW


class Output(io.TextIOWrapper):
    """Standard output, kept."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        self.kept = io.BytesIO()
        self.is_terminal = is_terminal
        super().__init__(self.kept, encoding="utf-8")

    def isatty(self) -> bool:
        return self.is_terminal

    def text(self) -> str:
        return self.kept.getvalue().decode()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def output() -> Iterator[Output]:
    loggers = [logging.getLogger(name) for name in (None, *logs.QUIET, *logs.TELLTALES, "alembic.runtime.migration")]
    defaults = structlog.get_config()
    before = [(logger, logger.handlers, logger.level, logger.filters) for logger in loggers]
    yield Output()
    structlog.configure(**defaults)
    logging.captureWarnings(capture=False)
    for logger, handlers, level, filters in before:
        logger.handlers, logger.filters = handlers, filters
        logger.setLevel(level)


def test_lines_are_json_with_the_requests_id(output: Output) -> None:
    logs.configure_logs("info", "json", output)
    token = logs.request_id.set("r-1")
    logs.get_logger("api.some").info("happened", size=5, name="ä\n")
    logs.request_id.reset(token)
    logs.get_logger("api.some").warning("afterwards")
    first, second = output.lines()
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "happened",
        "level": "info",
        "logger": "api.some",
        "request_id": "r-1",
        "size": 5,
        "name": "ä\n",
    }
    assert "request_id" not in second


@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_fault_is_logged_with_its_traceback(output: Output, level: str) -> None:
    logs.configure_logs(level, "json", output)
    logs.tell_fault(logs.get_logger("api.some"), "some failed", raised(KeyError("gone")), count=5)
    [line] = output.lines()
    assert (line["event"], line["level"], line["count"]) == ("some failed", "error", 5)
    assert line["exception"].endswith("KeyError: 'gone'")


def test_an_outage_is_logged_in_one_line(output: Output) -> None:
    logs.configure_logs("info", "json", output)
    logs.tell_fault(logs.get_logger("api.some"), "some failed", raised(ConnectionResetError("over\nand out")), count=5)
    [line] = output.lines()
    assert (line["event"], line["level"], line["count"]) == ("some failed", "warning", 5)
    assert line["outage"] == "ConnectionResetError: over"
    assert "exception" not in line


def test_whoever_looks_closer_sees_where_an_outage_was_met(output: Output) -> None:
    logs.configure_logs("debug", "json", output)
    logs.tell_fault(logs.get_logger("api.some"), "some failed", raised(ConnectionResetError("over")), count=5)
    _, closer = output.lines()
    assert (closer["event"], closer["level"], closer["count"]) == ("some failed", "debug", 5)
    assert closer["exception"].startswith("Traceback")
    assert closer["exception"].endswith("ConnectionResetError: over")


def test_what_is_below_the_level_is_not_logged(output: Output) -> None:
    logs.configure_logs("warning", "json", output)
    logs.get_logger("api.some").info("quiet")
    logging.getLogger("db.some").info("quiet")
    logging.getLogger("db.some").warning("loud")
    assert [line["event"] for line in output.lines()] == ["loud"]


def test_the_standard_librarys_loggers_end_in_the_same_stream(output: Output) -> None:
    logs.configure_logs("info", "json", output)
    token = logs.request_id.set("r-2")
    logging.getLogger("db.redis").warning("%s is out of order", "Redis")
    try:
        raise_key_error()
    except KeyError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    logs.request_id.reset(token)
    first, second = output.lines()
    assert (first["event"], first["logger"], first["request_id"]) == ("Redis is out of order", "db.redis", "r-2")
    assert second["event"] == "Exception in ASGI application"
    assert second["request_id"] == "r-2"
    assert second["exception"].endswith("KeyError: 'gone'")


def test_chatter_of_the_server_and_the_migrations_is_left_out(output: Output) -> None:
    logs.configure_logs("info", "json", output)
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("alembic.runtime.migration").info("Context impl SQLiteImpl.")
    logging.getLogger("alembic.runtime.migration").info("Running upgrade  -> 0001")
    assert [line["event"] for line in output.lines()] == ["Running upgrade  -> 0001"]


async def test_what_is_written_into_a_database_is_not_logged_at_any_level(output: Output, database_url: str) -> None:
    logs.configure_logs("debug", "json", output)
    database = Database(database_url)
    async with database.transaction() as tx:
        await tx.add(Workspace(name="a secret that is written", created_at=NOW))
    async with database.reading() as rows:
        assert await rows.scalar(select(col(Workspace.name))) == "a secret that is written"
    await database.close()
    assert "a secret that is written" not in output.text()


def test_warnings_are_lines_too(output: Output) -> None:
    logs.configure_logs("info", "json", output)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in output.lines()[0]["event"]


def test_passwords_and_tokens_are_hidden(output: Output) -> None:
    logs.configure_logs("info", "json", output)
    logs.get_logger("api.some").info("login", password="hunter2", token="hunter2", authorization="Bearer hunter2")
    assert "hunter2" not in output.text()
    assert output.lines()[0]["password"] == "[hidden]"


@pytest.mark.parametrize("value", ["\udcff", 2**70, {1: object()}, float("nan")])
def test_nothing_that_is_logged_breaks_the_caller(output: Output, value: object) -> None:
    logs.configure_logs("info", "json", output)
    logs.get_logger("api.some").bind(who="me").info("odd", value=value)
    [line] = output.lines()
    assert (line["event"], line["who"]) == ("odd", "me")
    assert line["timestamp"].endswith("Z")


def test_a_wrong_call_of_the_standard_librarys_logger_breaks_nothing(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure_logs("info", "json", output)
    logging.getLogger("db.some").warning("%d", "no number")
    assert output.text() == ""
    assert "no number" in capsys.readouterr().err


def test_a_reader_that_went_away_costs_the_line_alone(output: Output) -> None:
    logs.configure_logs("info", "json", output)
    output.kept.close()
    logs.get_logger("api.some").info("lost")


def test_people_get_one_line_each_without_colours_in_a_file(output: Output) -> None:
    logs.configure_logs("info", "console", output)
    logs.get_logger("api.some").info("request", path="/a\nerror forged", status=200)
    text = output.text()
    assert text.count("\n") == 1
    assert "\\nerror forged" in text
    assert "\x1b" not in text


def test_people_at_a_terminal_get_colours(output: Output) -> None:
    output.is_terminal = True
    logs.configure_logs("info", "console", output)
    logs.get_logger("api.some").info("request")
    assert "\x1b[" in output.text()


def test_tracebacks_for_people_show_no_local_variables(output: Output) -> None:
    def fail(password: str) -> None:
        raise KeyError(len(password))

    logs.configure_logs("info", "console", output)
    try:
        fail("hunter2")
    except KeyError:
        logs.get_logger("api.some").exception("fault")
    assert "KeyError: 7" in output.text()
    assert output.text().count("hunter2") == 1, "only in the source line that calls"


def test_before_it_is_configured_tracebacks_are_plain(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    try:
        raise_key_error()
    except KeyError:
        logs.get_logger("api.some").exception("fault")
    printed = capsysbinary.readouterr().out.decode()
    assert printed.rstrip().endswith("KeyError: 'gone'")
    assert "[api.some]" in printed


@pytest.mark.parametrize(
    ("wanted", "is_terminal", "chosen"),
    [("auto", True, "console"), ("auto", False, "json"), ("console", False, "console"), ("json", True, "json")],
)
def test_the_format_follows_the_terminal_unless_it_is_set(
    output: Output, wanted: Any, *, is_terminal: bool, chosen: str
) -> None:
    output.is_terminal = is_terminal
    assert logs.choose_format(wanted, output) == chosen


def raised(fault: Exception) -> Exception:
    with pytest.raises(type(fault)):
        raise fault
    return fault


def raise_key_error() -> None:
    raise KeyError("gone")
