"""The rules of the house that no other tool holds: sizes, names, doorways, and tests that mirror the tree."""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent
LAYERS = ("api", "schema", "domain", "db", "storage")
PACKAGES = (*LAYERS, "tests", "bench")
GENERATED = "db/migrations/versions/*"
MOST_LINES = 400
MOST_FUNCTION_LINES = 60
NAMELESS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "base",
    "manager",
    "managers",
    "service",
    "services",
    "misc",
}

# Where a dependency may be imported: one file, so that it can be replaced, or a layer for what the layer is made of.
DOORWAYS = {
    "aiofiles": ["storage/disk.py"],
    "aiosmtplib": ["api/mail.py"],
    "aiosqlite": ["db/embedded.py"],
    "alembic": ["db/engine.py", "db/migrations/*"],
    "asyncpg": ["db/opening.py", "db/outages.py", "db/violations.py"],
    "cryptography": ["api/secrets.py", "api/seals.py"],
    "dotenv": ["api/variables.py"],
    "email_validator": ["domain/emails.py"],
    "graphql": ["schema/*", "api/*"],
    "jwt": ["domain/tokens.py"],
    "magic": ["domain/detection.py"],
    "orjson": ["api/*", "schema/*", "db/cache.py", "db/frequent_inserts.py"],
    "passlib": ["domain/passwords.py"],
    "prometheus_client": ["api/metrics.py"],
    "pydantic": ["api/settings.py", "api/settings_lines.py", "api/variables.py"],
    "pydantic_core": ["api/variables.py"],
    "pydantic_settings": ["api/settings.py"],
    "pylibmagic": ["domain/detection.py"],
    "python_multipart": ["api/multipart.py"],
    "redis": ["db/redis.py"],
    "sqlalchemy": ["db/*"],
    "sqlmodel": ["db/*"],
    "starlette": ["api/*"],
    "strawberry": ["schema/*"],
    "structlog": ["api/logs.py"],
    "typer": ["api/commands.py"],
    "uuid_utils": ["db/*", "domain/*", "api/*"],
    "uvicorn": ["api/server.py", "api/exchanges.py", "api/heads.py", "api/inflow.py", "api/sockets.py"],
    "websockets": ["api/sockets.py"],
    "zlib_ng": ["storage/digest.py"],
    "zxcvbn": ["domain/passwords.py"],
}

# Tests whose subject is not one module of the same name.
TESTS_OF_MANY = {
    "tests/api/test_crashes.py": "kill -9 anywhere between the first byte and the answer",
    "tests/api/test_export_crashes.py": "kill -9 while exports are made",
    "tests/api/test_ends_of_streams.py": "what ends WebSockets and event streams, and what is left of them",
    "tests/api/test_damaged_files.py": "files whose bytes a disk lost or changed, against the whole service",
    "tests/api/test_guessing.py": "guessing passwords, against the whole service",
    "tests/api/test_hostile_clients.py": "clients that are slow, cut off or deaf, against the whole service",
    "tests/api/test_hostile_requests.py": "requests that break a rule, against the whole service",
    "tests/api/test_hostile_sockets.py": "WebSockets that break a rule, against the whole service",
    "tests/domain/test_event_filters.py": "every combination of filters of the audit log: what it finds, and costs",
    "tests/domain/test_locks.py": "the order of locks, over all verbs that take several",
    "tests/db/test_plans.py": "what is asked by ids, over all selects that are asked so",
    "tests/api/test_hostile_streams.py": "event streams that are asked for wrongly, against the whole service",
    "tests/api/test_leaks.py": "secrets, sent to the whole service in every way, looked for in its rows and its log",
    "tests/api/test_outages.py": "a database that is away, against the whole service",
    "tests/api/test_overslept_workers.py": "workers that were stopped for longer than their leases",
    "tests/api/test_slow_readers.py": "readers that stall, and many of them, against the whole service",
    "tests/api/test_processes.py": "two processes of the service that tell each other what happens",
    "tests/api/test_takeovers.py": "two processes of the service, and an upload whose sender hangs at one of them",
    "tests/api/test_tus_crashes.py": "kill -9 while uploads of several requests are under way",
    "tests/storage/test_partial_faults.py": "disks that fail, and others who come between, while partial blobs grow",
    "tests/api/test_workers.py": "worker processes that share one table of jobs, and are killed at it",
}


def sources(*packages: str) -> list[PurePosixPath]:
    """The Python files of the packages, relative to the repository."""
    found = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return [PurePosixPath(path.relative_to(ROOT)) for path in found if "node_modules" not in path.parts]


@cache
def tree_of(path: PurePosixPath) -> ast.Module:
    return ast.parse((ROOT / path).read_text(), filename=str(path))


def functions(path: PurePosixPath) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the module of every import below a node."""
    for below in ast.walk(node):
        if isinstance(below, ast.Import):
            for alias in below.names:
                yield below.lineno, alias.name
        elif isinstance(below, ast.ImportFrom) and below.module:
            yield below.lineno, below.module


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    lines = {str(path): (ROOT / path).read_text().count("\n") for path in sources(*PACKAGES)}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_function_is_longer_than_sixty_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in sources(*PACKAGES)
        if not fnmatch(str(path), GENERATED)
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno + 1 > MOST_FUNCTION_LINES
    ]
    assert long == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in sources(*PACKAGES) if NAMELESS & {part.split(".")[0] for part in path.parts}] == []


def test_every_import_stands_at_the_top_of_its_file() -> None:
    inside = [
        f"{path}:{line} {module}"
        for path in sources(*PACKAGES)
        for node in functions(path)
        for line, module in imports(node)
    ]
    assert inside == []


def test_only_the_schema_imports_for_type_checking_alone() -> None:
    guarded = [
        str(path)
        for path in sources(*PACKAGES)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and path.parts[0] != "schema"
    ]
    assert guarded == []


def test_every_dependency_has_its_doorway_and_is_imported_nowhere_else() -> None:
    own = {*PACKAGES, *sys.stdlib_module_names}
    elsewhere = [
        f"{path}:{line} {module}"
        for path in sources(*LAYERS)
        for line, module in imports(tree_of(path))
        if (top := module.split(".")[0]) not in own
        and not any(fnmatch(str(path), doorway) for doorway in DOORWAYS.get(top, ()))
    ]
    assert elsewhere == [], "a new dependency needs its doorway in this file"


def test_every_doorway_is_used() -> None:
    used = {(module.split(".")[0], str(path)) for path in sources(*LAYERS) for _, module in imports(tree_of(path))}
    idle = [
        f"{top} in {doorway}"
        for top, doorways in DOORWAYS.items()
        for doorway in doorways
        if not any(top == name and fnmatch(path, doorway) for name, path in used)
    ]
    assert idle == []


def test_tests_lie_where_the_code_lies() -> None:
    homeless = [
        str(path)
        for path in sources(*(f"tests/{layer}" for layer in LAYERS))
        if path.name.startswith("test_")
        and str(path) not in TESTS_OF_MANY
        and not (home := ROOT / path.parts[1] / path.stem.removeprefix("test_")).is_dir()
        and not home.with_suffix(".py").exists()
    ]
    assert homeless == [], "no module of that name: rename the test, or say in TESTS_OF_MANY what it is about"


def test_every_reason_for_a_test_of_many_modules_is_needed() -> None:
    assert [path for path in TESTS_OF_MANY if not (ROOT / path).exists()] == []


def test_every_package_says_what_it_answers_for() -> None:
    assert [layer for layer in LAYERS if not ast.get_docstring(tree_of(PurePosixPath(layer, "__init__.py")))] == []
