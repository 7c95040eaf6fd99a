from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.asking import Account, ask, create_key, post, sign_up

KEY = "apiKey { id name prefix scopes addresses createdAt expiresAt lastUsedAt }"
PROBLEMS = """problems {
  __typename code message path ... on TooManyKeys { maximum } ... on RotationUnderWay { retryAfterSeconds }
}"""
CREATE = f"mutation ($input: CreateApiKeyInput!) {{ createApiKey(input: $input) {{ {KEY} secret {PROBLEMS} }} }}"
UPDATE = f"mutation ($input: UpdateApiKeyInput!) {{ updateApiKey(input: $input) {{ {KEY} {PROBLEMS} }} }}"
ROTATE = f"""mutation ($input: RotateApiKeyInput!) {{
  rotateApiKey(input: $input) {{ {KEY} secret formerSecretExpiresAt {PROBLEMS} }}
}}"""
REVOKE = f"mutation ($input: RevokeApiKeyInput!) {{ revokeApiKey(input: $input) {{ {KEY} {PROBLEMS} }} }}"


async def change(client: AsyncClient, document: str, asker: Account, **given: Any) -> Any:
    [payload] = (await ask(client, document, asker, input=given)).values()
    return payload


async def test_a_key_is_made_changed_rotated_and_revoked(client: AsyncClient) -> None:
    ada = await sign_up(client)
    end = (datetime.now(UTC) + timedelta(days=30)).isoformat().replace("+00:00", "Z")
    created = await change(client, CREATE, ada, name="backup", scopes=["files:read"], expiresAt=end, addresses=["::1"])
    key, secret = created["apiKey"], created["secret"]
    assert created["problems"] == []
    assert key["id"].startswith("key_")
    assert secret.startswith(key["prefix"] + "_")
    assert (key["name"], key["scopes"], key["addresses"]) == ("backup", ["files:read"], ["::1/128"])
    assert (key["expiresAt"], key["lastUsedAt"]) == (end, None)

    updated = await change(client, UPDATE, ada, id=key["id"], name="restore", addresses=[])
    assert updated == {"apiKey": {**key, "name": "restore", "addresses": []}, "problems": []}
    updated = await change(client, UPDATE, ada, id=key["id"], expiresAt=None, scopes=["files:write", "files:read"])
    changed = {**key, "name": "restore", "addresses": [], "expiresAt": None, "scopes": ["files:read", "files:write"]}
    assert updated == {"apiKey": changed, "problems": []}

    rotated = await change(client, ROTATE, ada, id=key["id"])
    assert (rotated["apiKey"], rotated["problems"]) == (changed, [])
    assert rotated["secret"] != secret
    grace = datetime.fromisoformat(rotated["formerSecretExpiresAt"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < grace <= timedelta(days=1)
    again = await change(client, ROTATE, ada, id=key["id"])
    assert again["apiKey"] is again["secret"] is again["formerSecretExpiresAt"] is None
    [problem] = again["problems"]
    assert (problem["__typename"], problem["code"]) == ("RotationUnderWay", "ROTATION_UNDER_WAY")
    assert 86_300 < problem["retryAfterSeconds"] <= 86_400

    assert await change(client, REVOKE, ada, id=key["id"]) == {"apiKey": changed, "problems": []}
    gone = await change(client, REVOKE, ada, id=key["id"])
    assert gone["apiKey"] is None
    assert [problem["code"] for problem in gone["problems"]] == ["NOT_FOUND"]


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({"name": ""}, "BAD_USER_INPUT", ["name"]),
        ({"name": "x" * 10_000}, "BAD_USER_INPUT", ["name"]),
        ({"scopes": []}, "BAD_USER_INPUT", ["scopes"]),
        ({"scopes": ["everything"]}, "BAD_USER_INPUT", ["scopes"]),
        ({"scopes": ["files:read"] * 10_000}, "BAD_USER_INPUT", ["scopes"]),
        ({"scopes": ["admin"]}, "FORBIDDEN", ["scopes"]),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "BAD_USER_INPUT", ["expiresAt"]),
        ({"addresses": ["localhost"]}, "BAD_USER_INPUT", ["addresses"]),
        ({"addresses": ["\0"]}, "BAD_USER_INPUT", ["addresses"]),
        ({"addresses": ["::1"] * 10_000}, "BAD_USER_INPUT", ["addresses"]),
    ],
)
async def test_a_key_that_cannot_be_is_refused(
    client: AsyncClient, given: dict[str, Any], code: str, path: list[str]
) -> None:
    ada = await sign_up(client)
    payload = await change(client, CREATE, ada, **{"name": "backup", "scopes": ["files:read"], **given})
    assert payload["apiKey"] is payload["secret"] is None
    assert [(problem["code"], problem["path"]) for problem in payload["problems"]] == [(code, path)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_keys_come_to_an_end(client: AsyncClient) -> None:
    ada = await sign_up(client)
    for _ in range(50):
        await create_key(client, ada, "files:read")
    [problem] = (await change(client, CREATE, ada, name="one more", scopes=["files:read"]))["problems"]
    assert (problem["__typename"], problem["code"], problem["maximum"]) == ("TooManyKeys", "TOO_MANY_KEYS", 50)


async def test_wrong_ids_and_those_of_others_are_not_found(client: AsyncClient) -> None:
    ada, eve = await sign_up(client), await sign_up(client, "eve")
    theirs = (await create_key(client, eve, "files:read")).id
    for wrong in (theirs, "key_" + "0" * 32, "sess_" + theirs[4:], ada.id, "", "\0", "x" * 10_000):
        for document in (UPDATE, ROTATE, REVOKE):
            payload = await change(client, document, ada, id=wrong)
            assert payload["apiKey"] is None
            told = [(problem["code"], problem["message"], problem["path"]) for problem in payload["problems"]]
            assert told == [("NOT_FOUND", "There is no such API key.", ["id"])]


async def test_nobody_and_no_key_has_to_do_with_keys(client: AsyncClient) -> None:
    ada = await sign_up(client)
    program = await create_key(client, ada, "files:read", "files:write", "account:read", "account:write")
    for document in (CREATE, UPDATE, ROTATE, REVOKE):
        given = {"name": "x", "scopes": ["files:read"]} if document == CREATE else {"id": program.id}
        for asker, code in ((None, "UNAUTHENTICATED"), (program, "FORBIDDEN")):
            [error] = (await post(client, document, asker, input=given)).json()["errors"]
            assert error["extensions"]["code"] == code
