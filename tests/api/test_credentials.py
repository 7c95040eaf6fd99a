"""Who asks, as the head of a request and the address that it comes from say, through the whole application."""

import asyncio
import logging
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import select
from sqlmodel import col
from starlette.types import ASGIApp

from api.settings import Settings
from db.engine import Database
from db.models import ApiKey, ApiKeySecret, Event
from tests.asking import CREATE_KEY, LOGIN, PASSWORD, ask, create_key, post, sign_up, upload, uploaded
from tests.conftest import ORIGIN

VIEWER = {"query": "{ viewer { username } }"}
REVOKE = "mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { problems { code } } }"
ROTATE = "mutation ($input: RotateApiKeyInput!) { rotateApiKey(input: $input) { secret problems { code } } }"


async def asked(client: AsyncClient, headers: dict[str, str] | list[tuple[str, str]]) -> Response:
    return await client.post("/graphql", json=VIEWER, headers=headers)


async def is_let_in(client: AsyncClient, secret: str) -> bool:
    answers = [
        await asked(client, headers) for headers in ({"X-API-Key": secret}, {"Authorization": f"Bearer {secret}"})
    ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].status_code in {200, 401}
    return answers[0].status_code == 200


async def test_a_key_serves_in_either_header(client: AsyncClient) -> None:
    program = await create_key(client, await sign_up(client), "files:read")
    for headers in (
        {"Authorization": f"Bearer {program.token}"},
        {"Authorization": f"bearer  {program.token} "},
        {"X-API-Key": program.token},
        {"x-api-key": f" {program.token} "},
        {"X-API-Key": program.token, "Authorization": ""},
        {"X-API-Key": "", "Authorization": f"Bearer {program.token}"},
        [("X-API-Key", ""), ("X-API-Key", program.token)],
    ):
        answer = await asked(client, headers)
        assert (answer.status_code, answer.json()) == (200, {"data": {"viewer": {"username": "ada"}}})


async def test_empty_credentials_are_none(client: AsyncClient) -> None:
    for headers in ({"X-API-Key": ""}, {"X-API-Key": "  ", "Authorization": " "}):
        assert (await asked(client, headers)).json() == {"data": {"viewer": None}}


async def test_two_credentials_are_refused_and_so_is_the_wrong_kind(client: AsyncClient) -> None:
    ada = await sign_up(client)
    key = (await create_key(client, ada, "files:read")).token
    for headers in (
        {"X-API-Key": key, "Authorization": f"Bearer {key}"},
        {"X-API-Key": key, "Authorization": f"Bearer {ada.token}"},
        {"X-API-Key": key, "Authorization": "Bearer"},
        [("X-API-Key", key), ("X-API-Key", key)],
        [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")],
        {"X-API-Key": ada.token},
        {"X-API-Key": f"Bearer {key}"},
        {"X-API-Key": "nonsense"},
        {"Authorization": f"Basic {key}"},
        {"Authorization": key},
        {"X-API-Key": "cairn_"},
        {"X-API-Key": key[:-1]},
        {"X-API-Key": "cairn_" + "a" * 10_000},
        {"Authorization": "Bearer cairn_" + "a" * 10_000},
        {"X-API-Key": "cairn_\x7f"},
    ):
        answer = await asked(client, headers)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
        assert key not in answer.text


async def test_a_bad_key_keeps_one_even_from_signing_in(client: AsyncClient) -> None:
    await sign_up(client)
    body = {"query": LOGIN, "variables": {"input": {"username": "ada", "password": PASSWORD}}}
    answer = await client.post("/graphql", json=body, headers={"X-API-Key": "cairn_nonsense"})
    assert answer.status_code == 401


async def test_a_key_is_good_from_its_addresses_alone(app: ASGIApp, client: AsyncClient) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    secret = (await create_key(client, ada, "files:read", addresses=["192.0.2.0/24", "2001:db8::/32"])).token

    async def statuses(host: str) -> tuple[int, int]:
        async with AsyncClient(transport=ASGITransport(app, client=(host, 1)), base_url=ORIGIN) as other:
            headers = {"X-API-Key": secret}
            query = await asked(other, headers)
            download = await other.get(f"/files/{file['id']}/download", headers=headers)
        return query.status_code, download.status_code

    for host in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7"):
        assert await statuses(host) == (200, 200)
    for host in ("127.0.0.1", "198.51.100.7", "::ffff:198.51.100.7", "2001:db9::7", "::1", "testclient"):
        assert await statuses(host) == (401, 401)


async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(client: AsyncClient) -> None:
    secret = (await create_key(client, await sign_up(client), "files:read", addresses=["192.0.2.0/24"])).token
    answer = await asked(client, {"X-API-Key": secret, "X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7"})
    assert answer.status_code == 401


async def test_a_program_uploads_and_downloads_within_its_scopes(client: AsyncClient) -> None:
    ada = await sign_up(client)
    writer, reader = await create_key(client, ada, "files:write"), await create_key(client, ada, "files:read")
    file = await uploaded(client, writer, "report.txt", b"by a program\n")
    path = f"/files/{file['id']}/download"

    answer = await client.get(path, headers={"X-API-Key": reader.token})
    assert (answer.status_code, answer.content) == (200, b"by a program\n")
    answer = await client.get(path, headers={"X-API-Key": reader.token, "Range": "bytes=3-"})
    assert (answer.status_code, answer.content) == (206, b"a program\n")
    absent = f"/files/file_{'0' * 32}/download"
    answers = [await client.get(each, headers={"X-API-Key": writer.token}) for each in (path, absent)]
    for answer in answers:
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["scope"]) == (403, "FORBIDDEN", "files:read")
    assert (await client.get(absent, headers={"X-API-Key": reader.token})).status_code == 404
    answer = await client.get(path, headers={"X-API-Key": reader.token, "Authorization": f"Bearer {ada.token}"})
    assert answer.status_code == 401
    with pytest.raises(AssertionError, match="files:write"):
        await upload(client, reader)


async def test_a_link_by_a_key_lends_its_owners_right_and_outlives_the_key(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    program = await create_key(client, ada, "files:read", addresses=["127.0.0.1"])
    url = (await ask(client, "query ($id: ID!) { file(id: $id) { downloadUrl } }", program, id=file["id"]))["file"]
    await ask(client, REVOKE, ada, id=program.id)

    assert not await is_let_in(client, program.token)
    assert (await client.get(url["downloadUrl"])).status_code == 200


async def test_a_revoked_key_is_out_at_once_and_a_rotated_one_has_two_secrets(client: AsyncClient) -> None:
    ada = await sign_up(client)
    program = await create_key(client, ada, "files:read")
    rotated = (await ask(client, ROTATE, ada, input={"id": program.id}))["rotateApiKey"]
    assert rotated["problems"] == []
    assert [await is_let_in(client, secret) for secret in (program.token, rotated["secret"])] == [True, True]
    again = (await ask(client, ROTATE, ada, input={"id": program.id, "graceSeconds": 0}))["rotateApiKey"]
    secrets = (program.token, rotated["secret"], again["secret"])
    assert [await is_let_in(client, secret) for secret in secrets] == [False, False, True]
    await ask(client, REVOKE, ada, id=program.id)
    assert not await is_let_in(client, again["secret"])


async def test_the_use_of_a_key_is_noted_a_little_later(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    one, two = [await create_key(client, ada, "files:read") for _ in range(2)]
    await asyncio.gather(*(asked(client, {"X-API-Key": one.token}) for _ in range(10)))
    await client.get(f"/files/file_{'0' * 32}/download", headers={"X-API-Key": two.token})
    await asked(client, {"X-API-Key": "cairn_nonsense"})
    database = Database(settings.database_url)
    try:
        async with asyncio.timeout(10):
            noted: list[Any] = []
            while not (noted and all(noted)):
                await asyncio.sleep(0.1)
                async with database.reading() as rows:
                    noted = [row.last_used_at for row in await rows.all(select(col(ApiKey.last_used_at)))]
    finally:
        await database.close()
    assert len(noted) == 2


async def test_secrets_are_in_no_event_no_log_and_no_table(
    client: AsyncClient, settings: Settings, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ada = await sign_up(client)
    program = await create_key(client, ada, "files:read", name="backup")
    rotated = (await ask(client, ROTATE, ada, input={"id": program.id}))["rotateApiKey"]["secret"]
    await ask(client, "{ files { totalCount } }", program)
    await asked(client, {"X-API-Key": program.token + "x"})
    await post(client, CREATE_KEY, program, input={"name": "x", "scopes": ["files:read"]})
    database = Database(settings.database_url)
    async with database.reading() as rows:
        tables = [Event, ApiKey, ApiKeySecret]
        told = [str(await rows.all(select(*table.__table__.columns))) for table in tables]  # type: ignore[attr-defined]
    await database.close()
    output = capfd.readouterr()
    written = "".join([*told, output.out, output.err, caplog.text])
    assert "api_key.created" in written
    for secret in (program.token, rotated):
        random_part = secret.removeprefix("cairn_")[9:]
        assert secret not in written
        assert random_part not in written
