"""The fixtures that all tests share: databases and servers, real ones, each test with its own."""

import gc
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.types import ASGIApp

from api.app import create_app
from api.parts import parts_of
from api.settings import Settings
from tests import programs, servers
from tests.asking import HASHING_BYTES
from tests.compiled import share_compiled
from tests.databases import Databases
from tests.lifespan import running
from tests.live import Live, serving

ORIGIN = "http://cairn.test"
RUN = pytest.StashKey[Path]()
ABOVE = {Path(__file__).parent / name for name in ("api", "schema")}
ON_BOTH = {"test_crashes", "test_health", "test_key_uses", "test_recorder", "test_tus_crashes", "test_worker"}
"""Tests of the edge that are about what it writes by itself, and when: there the databases differ."""

# A machine that is busy with other tests is no reason to fail; how long things may take is tested where it matters.
# CI tries the same examples every time: what a change broke is then what it is told of.
hypothesis.settings.register_profile("cairn", deadline=None, database=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("cairn")
share_compiled()


def pytest_configure(config: pytest.Config) -> None:
    """Begin the run; a worker is told the folder of the run that it works for."""
    gc.disable()  # there is nothing to find while tests are collected, in more and more that stays
    given = getattr(config, "workerinput", {}).get("run_folder")
    config.stash[RUN] = folder = Path(given) if given else servers.begin_run(servers.memory_or_disk())
    if not given and not config.option.basetemp:
        config.option.basetemp = folder / "tests"  # whoever wants to see what a test left names another one


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave what has been collected alone from now on: it stays, and is much to look through."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker of pytest-xdist the folder of the run."""
    node.workerinput["run_folder"] = str(node.config.stash[RUN])  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run, unless this is only one of its workers."""
    if not hasattr(config, "workerinput"):
        servers.end_run(config.stash[RUN])


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """End the processes of this worker, before their coverage is counted."""
    programs.end_all()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put second times among the longer proofs: what asks the edge or the contract of PostgreSQL as it asks of SQLite.

    The databases differ below: what the rules and the records do is tested on both at any time.
    """
    asked = {item.nodeid for item in items}
    for item in items:
        twin = item.nodeid.replace("postgresql", "sqlite")
        if item.path.parent in ABOVE and item.path.stem not in ON_BOTH and twin != item.nodeid and twin in asked:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Path:
    """What the workers of this run share."""
    return request.config.stash[RUN]


@pytest.fixture
def disk_path(run_folder: Path) -> Iterator[Path]:
    """A folder on a disk, for tests of what is another thing in memory: a module has a `tmp_path` that is this."""
    with TemporaryDirectory(prefix=f"{run_folder.name}-") as folder:
        yield Path(folder)


@pytest.fixture
def sqlite_url(run_folder: Path, tmp_path: Path) -> str:
    """A migrated, empty SQLite database of the test's own."""
    copy = tmp_path / "cairn.sqlite"
    shutil.copyfile(servers.migrated_sqlite(run_folder), copy)
    return f"sqlite+aiosqlite:///{copy}"


@pytest.fixture(scope="session")
def databases(run_folder: Path) -> Iterator[Databases]:
    """The PostgreSQL databases of this worker."""
    made = Databases(servers.migrated_postgres(run_folder))
    yield made
    made.drop()


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """A migrated, empty PostgreSQL database, the test's own as long as it runs."""
    own = databases.take()
    yield own.render_as_string(hide_password=False)
    databases.give_back(own)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty database of the test's own, of each kind in turn.

    `@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)` is for tests where the kind cannot matter.
    """
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def redis_url(run_folder: Path) -> str:
    """A Redis that all tests of the run share: use keys of your own."""
    return servers.shared_redis(run_folder)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[servers.OwnRedis]:
    """A Redis of the test's own, to be stopped and started."""
    own = servers.OwnRedis(tmp_path)
    yield own
    own.kill()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """What the application of this test runs with; a module that needs others has a fixture of this name.

    Nobody does jobs: a worker that looks for some would be counted among the statements that a request costs.
    """
    return Settings(
        data_folder=tmp_path / "data",
        database_url=database_url,
        public_url=ORIGIN,
        disk_floor_bytes=0,
        rate_limits=False,  # tests ask more than people do; those of the limits turn them on
        log_level="error",
        worker=False,
        analytics_cache_seconds=0,  # tests ask again at once; those of the cache turn it on
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The real application, started; but hashes of passwords cost next to nothing."""
    made = create_app(settings, parts_of(settings, HASHING_BYTES))
    async with running(made):
        yield made


@pytest.fixture
async def client(app: ASGIApp) -> AsyncIterator[AsyncClient]:
    """Asks the application without a socket in between."""
    async with AsyncClient(transport=ASGITransport(app), base_url=ORIGIN) as asking:
        yield asking


@pytest.fixture
def live(sqlite_url: str, tmp_path: Path) -> Iterator[Live]:
    """The real service in a process of its own, for tests that need sockets. It has `url`."""
    with serving(tmp_path, {"CAIRN_DATABASE_URL": sqlite_url}) as service:
        yield service
