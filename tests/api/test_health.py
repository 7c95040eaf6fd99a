import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette

from api.app import create_app
from api.health import Health, Part, health_routes
from api.settings import Settings
from tests.lifespan import running
from tests.machine import free_port

OK = Part(lambda: asyncio.sleep(0))
OFF = Part(None, is_required=False)


def failing(fault: Exception) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        raise fault

    return check


def asked(health: Health) -> AsyncClient:
    transport = ASGITransport(Starlette(routes=[*health_routes(health)]))
    return AsyncClient(transport=transport, base_url="http://cairn.test")


async def get(health: Health, path: str = "/health", method: str = "GET") -> Response:
    async with asked(health) as client:
        return await client.request(method, path)


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_a_service_whose_parts_work_is_ready(path: str) -> None:
    answer = await get(Health({"database": OK, "store": OK, "redis": OFF}), path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "status": "ok",
        "checks": {"database": {"status": "ok"}, "store": {"status": "ok"}, "redis": {"status": "off"}},
    }


async def test_a_process_without_its_parts_lives() -> None:
    broken = Health({"database": Part(failing(OSError()))})
    assert (await get(broken, "/health/live")).json() == {"status": "ok"}
    assert (await get(broken, "/health/live", "HEAD")).status_code == 200
    assert (await get(broken, "/health/ready", "HEAD")).status_code == 503
    assert (await get(broken, "/health", "POST")).status_code == 405


async def test_a_required_part_out_of_order_is_503_without_a_word_about_why() -> None:
    fault = OSError("postgresql://user:hunter2@db.internal/cairn /var/lib/cairn")
    answer = await get(Health({"database": Part(failing(fault)), "store": OK}))
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "checks": {"database": {"status": "unavailable"}, "store": {"status": "ok"}},
    }


async def test_redis_out_of_order_is_told_but_the_service_is_ready() -> None:
    async def ping() -> bool:
        return False

    answer = await get(Health({"database": OK, "redis": Part(ping, is_required=False)}))
    assert answer.status_code == 200
    assert answer.json()["checks"]["redis"] == {"status": "unavailable"}


async def test_however_often_it_is_asked_the_parts_are_asked_once() -> None:
    times = 0

    async def check() -> None:
        nonlocal times
        times += 1
        await asyncio.sleep(0.01)

    async with asked(Health({"database": Part(check)}, kept_seconds=3600)) as client:
        await asyncio.gather(*(client.get("/health") for _ in range(50)))
        assert times == 1
        await client.get("/health")
        assert times == 1
    async with asked(Health({"database": Part(check)}, kept_seconds=0.01)) as client:
        await client.get("/health")
        await asyncio.sleep(0.02)
        await client.get("/health")
        assert times == 3


async def test_a_part_that_hangs_is_out_of_order_and_not_asked_again_meanwhile() -> None:
    times = 0
    released = asyncio.Event()

    async def check() -> None:
        nonlocal times
        times += 1
        await released.wait()

    health = Health({"store": Part(check), "database": OK}, kept_seconds=0, deadline_seconds=0.02)
    for _ in range(3):
        answer: Any = await get(health)
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"store": {"status": "unavailable"}, "database": {"status": "ok"}}
    assert times == 1
    released.set()
    assert (await get(health)).status_code == 200
    assert (await get(health)).status_code == 200
    assert times == 2


async def test_a_client_that_leaves_takes_nothing_from_the_others() -> None:
    health = Health({"database": Part(lambda: asyncio.sleep(0.05))})
    leaving = asyncio.create_task(health.states())
    staying = asyncio.create_task(health.states())
    await asyncio.sleep(0.01)
    leaving.cancel()
    assert await staying == {"database": "ok"}


async def of_the_service(settings: Settings) -> Response:
    app = create_app(settings)
    async with running(app), AsyncClient(transport=ASGITransport(app), base_url="http://cairn.test") as client:
        return await client.get("/health")


async def test_the_service_is_ready_on_every_database(settings: Settings, redis_url: str) -> None:
    async def is_ready() -> bool:
        answer = await of_the_service(settings.model_copy(update={"redis_url": redis_url}))
        states = answer.json()["checks"]
        return answer.status_code == 200 and states == {
            name: {"status": "ok"} for name in ("database", "store", "redis")
        }

    # On a machine that is busy with other tests, Redis may answer too late to be in order.
    attempts = 20
    while not await is_ready():
        attempts -= 1
        assert attempts


async def test_a_database_without_its_migrations_is_out_of_order(tmp_path: Path) -> None:
    answer = await of_the_service(Settings(data_folder=tmp_path, disk_floor_bytes=0))
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == {"status": "unavailable"}
    assert answer.json()["checks"]["store"] == {"status": "ok"}


async def test_a_database_server_that_is_away_is_out_of_order(tmp_path: Path) -> None:
    url = f"postgresql://cairn:hunter2@127.0.0.1:{free_port()}/cairn"
    answer = await of_the_service(Settings(data_folder=tmp_path, database_url=url, disk_floor_bytes=0))
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == {"status": "unavailable"}


async def test_a_disk_below_its_floor_is_out_of_order_and_a_missing_redis_is_not(settings: Settings) -> None:
    given = {"disk_floor_bytes": 2**60, "redis_url": f"redis://127.0.0.1:{free_port()}"}
    answer = await of_the_service(settings.model_copy(update=given))
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "checks": {
            "database": {"status": "ok"},
            "store": {"status": "unavailable"},
            "redis": {"status": "unavailable"},
        },
    }
