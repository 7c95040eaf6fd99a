"""The command line: serve, work, migrate, compare records and bytes, make an administrator, look after jobs, settings.

An operator's mistake ends in one sentence on standard error: exit status 2 for wrong settings and arguments, 1 for
what the machine or the database refuses.
"""

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Annotated, Literal, NoReturn, TypeAlias
from uuid import UUID

import typer

from api.accounts import create_administrator, promote_user
from api.app import create_app
from api.checks import check
from api.jobs import dead_jobs, retry_job, work
from api.logs import choose_format, configure_logs, get_logger
from api.malloc import keep_memory
from api.server import ServerLimits, bind, run
from api.settings import Settings, local_url
from api.settings_lines import lines
from api.supervisor import Supervisor
from api.variables import Reading, SettingsError, read_settings, variable_of
from db.engine import Database, NotMigrated, migrate
from domain.errors import Refusal, Refusals
from storage.store import StoreError

WRONG_SETTINGS, OUT_OF_ORDER = 2, 1
Style: TypeAlias = Literal["console", "json"]

commands = typer.Typer(
    help="Cairn, a file service whose API is GraphQL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
admin = typer.Typer(help="Administrators.", no_args_is_help=True)
commands.add_typer(admin, name="admin")
dead = typer.Typer(help="Jobs that have been given up.", invoke_without_command=True)
commands.add_typer(dead, name="jobs")
_log = get_logger(__name__)


@commands.command("serve")
def serve() -> None:
    """Listen until SIGINT or SIGTERM. An embedded database is migrated first."""
    reading = _read()
    style = choose_format(reading.settings.log_format, sys.stdout)
    configure_logs(reading.settings.log_level, style, sys.stdout)
    if reading.settings.memory_tuning:
        keep_memory()
    with _sentences(), ExitStack() as closing:
        _make_data_folder(reading.settings)
        sockets = [closing.enter_context(own) for own in _bind(reading.settings)]
        settings = _with_real_port(reading, sockets)
        _prepare_database(settings.database_url)
        if settings.processes == 1:
            has_begun = _listen(settings, sockets, style)
        else:
            has_begun = Supervisor(settings.processes, partial(_listen_as, settings, sockets, style), sockets).run()
        if not has_begun:
            raise typer.Exit(OUT_OF_ORDER)
        _log.info("stopped")


def _listen_as(settings: Settings, sockets: list[socket.socket], style: Style, number: int, until: int) -> bool:
    """Serve as one of several processes: the first says so, and each has a port for its metrics if there is one."""
    port = settings.metrics_port
    own = settings.model_copy(update={"metrics_port": port and port + number})
    try:
        with _sentences():
            return _listen(own, sockets, style, until, is_first=number == 0)
    except typer.Exit:
        return False


def _listen(
    settings: Settings,
    sockets: list[socket.socket],
    style: Style,
    until: int | None = None,
    *,
    is_first: bool = True,
) -> bool:
    address = local_url(settings.host, sockets[0].getsockname()[1])
    graphiql = f"{settings.public_url}/graphql" if settings.graphiql else None

    def announce() -> None:
        if not is_first:
            return
        if style == "json":
            _log.info("listening", url=address, graphiql=graphiql)
            return
        typer.echo(f"Cairn listens on {address}" + (f"\nGraphiQL is at {graphiql}" if graphiql else ""))

    return run(
        create_app(settings),
        sockets,
        limits=ServerLimits(settings.stall_seconds, settings.maximum_operations_bytes, settings.shutdown_seconds),
        on_listening=announce,
        until=until,
    )


@commands.command("work")
def do_jobs() -> None:
    """Do jobs, such as sending mail, until SIGINT or SIGTERM. `serve` does too, unless CAIRN_WORKER says no."""
    settings = _read().settings
    configure_logs(settings.log_level, choose_format(settings.log_format, sys.stdout), sys.stdout)
    with _sentences(), _database_sentences():
        asyncio.run(work(settings, lambda: _log.info("working")))
    _log.info("stopped")


@commands.command("migrate")
def migrate_database() -> None:
    """Bring the database to the newest migration."""
    settings = _configured()
    with _sentences():
        _make_data_folder(settings)
        with _database_sentences():
            migrate(settings.database_url)
    typer.echo("The database is at the newest migration.")


@commands.command("check")
def check_storage(
    *,
    repair: Annotated[bool, typer.Option(help="Mend what can safely be mended; no file is removed.")] = False,
    digests: Annotated[bool, typer.Option(help="Read the bytes of all files again.")] = False,
) -> None:
    """Compare what is recorded with what is stored, also beside a running service. Exits with 1 unless all is well."""
    settings = _configured()
    with _sentences(), _database_sentences():
        is_well = asyncio.run(check(settings, repair=repair, digests=digests, tell=typer.echo))
    if not is_well:
        raise typer.Exit(OUT_OF_ORDER)


@commands.command("settings")
def show_settings() -> None:
    """Show the settings in effect and where each comes from. Secrets are masked."""
    for line in lines(_read()):
        typer.echo(line)


@admin.command("create")
def create_admin(
    username: Annotated[str, typer.Option(prompt=True)],
    email: Annotated[str, typer.Option(prompt=True)],
    *,
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
) -> None:
    """Make an administrator. The password is asked for, or read from standard input."""
    settings = _configured()
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    with _sentences(), _database_sentences():
        asyncio.run(create_administrator(settings, username, email, password))
    typer.echo(f"{username} is an administrator.")


@admin.command("promote")
def promote_to_admin(username: Annotated[str, typer.Argument(help="The user's name, in upper or lower case.")]) -> None:
    """Make a user an administrator."""
    settings = _configured()
    with _sentences(), _database_sentences():
        promoted = asyncio.run(promote_user(settings, username))
    typer.echo(f"{promoted} is an administrator.")


@dead.callback()
def list_dead_jobs(context: typer.Context) -> None:
    """List jobs that have been given up, the latest first: id, kind, attempts, when, and why."""
    if context.invoked_subcommand is not None:
        return
    settings = _configured()
    with _sentences(), _database_sentences():
        found = asyncio.run(dead_jobs(settings))
    for job in found:
        error = job.last_error if job.can_be_retried else f"{job.last_error} (cannot be retried)"
        typer.echo(f"{job.id}  {job.kind}  {job.attempts}  {job.updated_at:%Y-%m-%d %H:%M:%S}Z  {error}")


@dead.command("retry")
def retry(job_id: Annotated[UUID, typer.Argument(metavar="ID")]) -> None:
    """Have a job that was given up done after all."""
    settings = _configured()
    with _sentences(), _database_sentences():
        asyncio.run(retry_job(settings, job_id))
    typer.echo("The job waits for a worker.")


def _read() -> Reading:
    try:
        return read_settings()
    except SettingsError as fault:
        _fail(f"The settings are wrong:\n{fault}", WRONG_SETTINGS)


def _configured() -> Settings:
    settings = _read().settings
    configure_logs(settings.log_level, choose_format(settings.log_format, sys.stderr), sys.stderr)
    return settings


def _make_data_folder(settings: Settings) -> None:
    try:
        settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise SettingsError([f"{variable_of('data_folder')}: cannot be made: {fault.strerror}"]) from fault


def _bind(settings: Settings) -> list[socket.socket]:
    try:
        return bind(settings.host, settings.port)
    except OSError as fault:
        _fail(f"Cannot listen on {local_url(settings.host, settings.port)}: {fault.strerror}.", OUT_OF_ORDER)


def _with_real_port(reading: Reading, sockets: list[socket.socket]) -> Settings:
    settings = reading.settings
    if settings.port != 0:
        return settings
    port = sockets[0].getsockname()[1]
    public = settings.public_url if "public_url" in reading.origins else local_url(settings.host, port)
    return settings.model_copy(update={"port": port, "public_url": public})


def _prepare_database(url: str) -> None:
    with _database_sentences():
        if url.startswith("sqlite"):
            migrate(url)
        asyncio.run(_check(url))


async def _check(url: str) -> None:
    database = Database(url)
    try:
        await database.check()
    finally:
        await database.close()


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except SettingsError as fault:
        _fail(str(fault), WRONG_SETTINGS)
    except Refusals as fault:
        _fail("\n".join(map(_sentence, fault.refusals)), OUT_OF_ORDER)
    except Refusal as fault:
        _fail(_sentence(fault), OUT_OF_ORDER)
    except StoreError as fault:
        _fail(f"The store cannot be used: {fault}", OUT_OF_ORDER)


@contextmanager
def _database_sentences() -> Iterator[None]:
    try:
        yield
    except (Refusal, Refusals, SettingsError, StoreError):
        raise
    except NotMigrated as fault:
        _fail(f"{fault} Run: python -m api migrate", OUT_OF_ORDER)
    except Exception as fault:  # noqa: BLE001 - each driver has its own for the many ways not to reach a server
        _log.debug("database", exc_info=True)
        reason = str(fault).strip().partition("\n")[0] or type(fault).__name__
        _fail(f"The database cannot be used: {reason}", OUT_OF_ORDER)


def _sentence(refusal: Refusal) -> str:
    reasons = getattr(refusal, "reasons", ())
    return " ".join((refusal.message, *reasons))


def _fail(message: str, status: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(status)


def main() -> None:
    """Run the command that the arguments name."""
    commands()
