"""What the service says about itself while it runs: one line per event, for people or as JSON, with the request's id.

The only doorway of structlog. Everything that logs through the standard library (uvicorn, alembic, the layers below)
ends in the same stream. Query strings, passwords and tokens are never logged.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from db.outages import described, is_outage

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

HIDDEN = frozenset(
    {"password", "password_hash", "secret", "secret_key", "token", "access_token", "authorization", "api_key"}
)
QUIET = ("uvicorn", "asyncio")
SOCKETS_LOGGER = "uvicorn.sockets"
# Below these levels they tell secrets: the one the parameters of every statement, which are the tokens of mails that
# wait and people's addresses, the other whole heads, URLs with tickets, and the messages that sockets begin with.
TELLTALES = {"aiosqlite": logging.INFO, SOCKETS_LOGGER: logging.WARNING}


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry this name, usually the module's."""
    return cast("FilteringBoundLogger", structlog.get_logger(name))


def tell_fault(logger: FilteringBoundLogger, event: str, fault: BaseException, **facts: object) -> None:
    """Log a fault: with its traceback, but in one line where the database is out of order.

    Everyone meets it then, many times a second, and where the code was when it did explains nothing. Whoever wants to
    know has the level `debug`.
    """
    if not is_outage(fault):
        logger.error(event, exc_info=fault, **facts)
        return
    logger.warning(event, outage=described(fault), **facts)
    logger.debug(event, exc_info=fault, **facts)


def choose_format(wanted: Literal["auto", "console", "json"], output: TextIO) -> Literal["console", "json"]:
    """`auto` is for people where the output is a terminal, else for programs."""
    if wanted != "auto":
        return wanted
    return "console" if output.isatty() else "json"


def configure_logs(level: str, style: Literal["console", "json"], output: TextIO) -> None:
    """Send every log line of this process, from `level` up, to this output in this style."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=_processors(style, is_terminal=output.isatty()),
        wrapper_class=_logger_class(number),
        logger_factory=lambda name="": _Lines(output.buffer, name),
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers = [_Forwarding()]
    root.setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING) if number > logging.DEBUG else number)
    for name, least in TELLTALES.items():
        logging.getLogger(name).setLevel(max(number, least))
    migrations = logging.getLogger("alembic.runtime.migration")
    migrations.filters = [lambda record: record.levelno > logging.INFO or record.getMessage().startswith("Running")]


def _processors(style: Literal["console", "json"], *, is_terminal: bool) -> list[Processor]:
    if style == "json":
        return [_complete, _json_line]
    return [
        _complete,
        _printable,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        # The default formatter prints local variables, which may be anybody's password.
        structlog.dev.ConsoleRenderer(
            colors=is_terminal, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _complete(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """What every line says, and nothing that no line may say."""
    event["level"] = method
    event.setdefault("logger", logger.name)
    identifier = request_id.get()
    if identifier is not None:
        event.setdefault("request_id", identifier)
    if not HIDDEN.isdisjoint(event):
        event.update(dict.fromkeys(HIDDEN & event.keys(), "[hidden]"))
    return event


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # What a client sent must not be able to write a line of its own.
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = repr(value)
    return event


def _json_line(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
    """All at once: each answer to a request has such a line."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, method, event)
    event["timestamp"] = datetime.now(UTC)
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_UTC_Z)
    except TypeError:
        # Lone surrogates and integers of more than 64 bits, which orjson refuses.
        return json.dumps(event, default=_shown).encode()


def _shown(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else repr(value)


class _Straight(structlog.BoundLoggerBase):
    """Makes a line of an event and its facts, and writes it; structlog's own is twice as long about it."""

    def _proxy_to_logger(self, method_name: str, event: str | None = None, **facts: Any) -> None:  # noqa: ANN401
        line: Any = {**self._context, **facts, "event": event}
        try:
            for process in self._processors:
                line = process(self._logger, method_name, line)
        except structlog.DropEvent:
            return
        self._logger.msg(line)


def _logger_class(level: int) -> type[structlog.BoundLoggerBase]:
    return type("Logger", (_Straight, structlog.make_filtering_bound_logger(level)), {})


class _Lines:
    """Writes lines; a reader that went away costs the line, never the request."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self.name = name

    def msg(self, line: bytes | str) -> None:
        data = line if isinstance(line, bytes) else line.encode(errors="backslashreplace")
        try:
            self._stream.write(data + b"\n")
            self._stream.flush()
        except (OSError, ValueError):
            return


class _Forwarding(logging.Handler):
    """Hands records of the standard library to structlog."""

    def __init__(self) -> None:
        super().__init__()
        self._logger = get_logger("root")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage().rstrip()
            self._logger.log(record.levelno, message, logger=record.name, exc_info=record.exc_info or None)
        except Exception:  # noqa: BLE001 - what handlers do: logging never breaks the caller
            self.handleError(record)


# Whoever makes an application without the command line (tests, benchmarks) gets plain lines too: structlog's own
# defaults draw tracebacks in boxes with every local variable, for seconds each.
structlog.configure(
    processors=_processors("console", is_terminal=False),
    wrapper_class=_logger_class(logging.NOTSET),
    logger_factory=lambda name="": _Lines(sys.stdout.buffer, name),
)
