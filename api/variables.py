"""Settings from the environment, a `.env` file and the names that hosting platforms use; every problem at once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import parse_stream
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from api.settings import Settings

PREFIX = "CAIRN_"
TEST_PREFIX = "CAIRN_TEST_"  # what the test run is told; the service that it starts inherits it
PLATFORM_NAMES = {
    "database_url": "DATABASE_URL",
    "redis_url": "REDIS_URL",
    "secret_key": "SECRET_KEY",
    "port": "PORT",
}
SECRETS = frozenset({"secret_key", "signing_key", "database_url", "redis_url", "smtp_url", "metrics_token"})
ENV_FILE = Path(".env")


class SettingsError(Exception):
    """The service cannot run with these settings: one line per problem, each beginning with the variable's name."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was found: the variable as the operator wrote it, and the place that holds it."""

    variable: str
    place: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings, and for each field that somebody set, where."""

    settings: Settings
    origins: Mapping[str, Origin]


def variable_of(field: str) -> str:
    """The variable that sets this field."""
    return PREFIX + field.upper()


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Settings:
    """The settings of this process. Raises SettingsError with a line for every problem."""
    return read_settings(environ, env_file).settings


def read_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Reading:
    """The settings and where each came from.

    A `CAIRN_` variable wins over the platform's name for the same thing, and within each the environment over the
    file. An empty variable counts as absent. Raises SettingsError with a line for every problem.
    """
    problems: list[str] = []
    places = {"the environment": dict(os.environ if environ is None else environ)}
    if env_file is not None:
        places[str(env_file)] = _variables_in(env_file, problems)
    problems += [_unknown(name) for variables in places.values() for name in variables if _is_unknown(name)]
    values: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    for field in Settings.model_fields:
        for name in (variable_of(field), PLATFORM_NAMES.get(field, "")):
            for place, variables in places.items():
                if field not in values and variables.get(name, "").strip():
                    values[field] = variables[name].strip()
                    origins[field] = Origin(name, place)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as fault:
        problems += [_problem(error, values, origins) for error in fault.errors() if _is_the_operators(error)]
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    return Reading(settings, origins)


def _variables_in(path: Path, problems: list[str]) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as fault:
        problems.append(f"{path}: cannot be read: {fault.strerror if isinstance(fault, OSError) else 'not UTF-8'}")
        return {}
    problems += [f"{path}: line {binding.original.line} is not NAME=value" for binding in bindings if binding.error]
    return {binding.key: binding.value for binding in bindings if binding.key and binding.value is not None}


def _is_unknown(name: str) -> bool:
    if not name.startswith(PREFIX) or name.startswith(TEST_PREFIX):
        return False
    return name != name.upper() or name.removeprefix(PREFIX).lower() not in Settings.model_fields


def _unknown(name: str) -> str:
    known = [variable_of(field) for field in Settings.model_fields]
    close = get_close_matches(name, known, n=1)
    return f"{name}: there is no such setting" + (f"; did you mean {close[0]}?" if close else "")


def _is_the_operators(error: ErrorDetails) -> bool:
    # A default that is derived from a wrong value is only an echo of that value's own problem.
    return error["type"] != "default_factory_not_called"


def _problem(error: ErrorDetails, values: Mapping[str, str], origins: Mapping[str, Origin]) -> str:
    field = str(error["loc"][0])
    name = origins[field].variable if field in origins else variable_of(field)
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    is_told = field in values and field not in SECRETS and "@" not in values[field]
    told = f" (it is {values[field][:80]!r})" if is_told else ""
    return f"{name}: {message}{told}"
