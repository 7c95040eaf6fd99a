import json

import pytest
from httpx2 import AsyncClient

from tests.asking import sign_up

GRAPHQL = "application/graphql-response+json"
DEEP = 10_000

MALFORMED: list[bytes | str] = [
    b"",
    b" ",
    b"\0",
    b"null",
    b"true",
    b"1",
    b"-0.0",
    b'"{ __typename }"',
    b"[]",
    b'[{"query":"{ __typename }"}]',
    b"{",
    b"}",
    b"{}",
    b'{"query"}',
    b'{"query":}',
    b'{"query":"{ __typename }",}',
    b'{"query":"{ __typename }"} trailing',
    b'{"query":"{ __typename }"}{"query":"{ __typename }"}',
    b"{'query':'{ __typename }'}",
    b'{"query":"{ __typename }","query":"{ viewer { id } }"}',
    b'{"query":"{ __typename }","variables":{"a":1,"a":2}}',
    b"query=%7B__typename%7D",
    b'{"query":null}',
    b'{"query":1}',
    b'{"query":true}',
    b'{"query":{}}',
    b'{"query":["{ __typename }"]}',
    b'{"Query":"{ __typename }"}',
    b'{"query":"{ __typename }","variables":[]}',
    b'{"query":"{ __typename }","variables":"{}"}',
    b'{"query":"{ __typename }","variables":0}',
    b'{"query":"{ __typename }","variables":false}',
    b'{"query":"{ __typename }","operationName":0}',
    b'{"query":"{ __typename }","operationName":{}}',
    b'{"query":"{ __typename }","operationName":[]}',
    b'{"query":"{ __typename }","extensions":[]}',
    b'{"query":"{ __typename }","extensions":1}',
    b'{"query":"\xff"}',
    b'{"query":"\xc3\x28"}',
    b'{"query":"\xed\xa0\x80"}',
    b'{"query":"\\ud800"}',
    b'{"query":"{ __typename }","variables":{"\\udfff":1}}',
    b'{"query":"a\nb"}',
    b'{"query":"\\x41"}',
    b'{"query":"{ __typename }","variables":{"a":NaN}}',
    b'{"query":"{ __typename }","variables":{"a":Infinity}}',
    b'{"query":"{ __typename }","variables":{"a":1e999999999}}',
    b'{"query":"{ __typename }","variables":{"a":01}}',
    b'{"query":"{ __typename }","variables":{"a":' + b"9" * 5000 + b"}}",
    b"[" * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"query":"{ __typename }","variables":{"a":' + b"[" * DEEP + b"]" * DEEP + b"}}",
    b'{"query":"{ __typename }","extensions":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    '{"query":"{ __typename }"}'.encode("utf-16"),
    '{"query":"{ __typename }"}'.encode("utf-16-le"),
    '{"query":"{ __typename }"}'.encode("utf-32"),
    b"\xef\xbb\xbf" + b'{"query":"{ __typename }"}',
    b"\x1f\x8b\x08" + b"\0" * 20,
    b"<query>{ __typename }</query>",
    b"%" * 1000,
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_bodies_that_are_no_request_are_400_whatever_they_are(client: AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    for body in MALFORMED:
        for accept in ("application/json", GRAPHQL):
            answer = await client.post("/graphql", content=body, headers={**headers, "accept": accept})
            code = answer.json()["errors"][0]["extensions"]["code"]
            assert (answer.status_code, code) == (400, "BAD_REQUEST"), body[:60]


HOSTILE_VARIABLES: list[str] = [
    '{"v": null}',
    '{"v": 1e308}',
    '{"v": 123456789012345678901234567890}',
    '{"v": -1}',
    '{"v": true}',
    '{"v": "\\u0000"}',
    '{"v": ""}',
    '{"v": ["a", ["b", {"c": null}]]}',
    '{"v": {"a": {"b": {"c": {}}}}}',
    '{"v": ' + "[" * 500 + "]" * 500 + "}",
    '{"v": ' + '{"a":' * 500 + "1" + "}" * 500 + "}",
    '{"v": "' + "x" * 100_000 + '"}',
    '{"' + "x" * 100_000 + '": 1}',
    '{"__proto__": {}, "v.v": 1}',
    '{"v": "user_"}',
    '{"v": "file_' + "0" * 32 + '"}',
    '{"v": "file_' + "g" * 32 + '"}',
    '{"v": "file_' + "٣" * 32 + '"}',
    '{"v": "\\ud83d\\ude00"}',
]

HOSTILE_USES: list[tuple[str, str]] = [
    ("ID!", "{ node(id: $v) { id } }"),
    ("ID!", "{ file(id: $v) { id } }"),
    ("[ID!]!", "{ nodes(ids: $v) { id } }"),
    ("Int", "{ files(first: $v) { totalCount } }"),
    ("String", "{ files(after: $v) { totalCount } }"),
    ("FileWhere", "{ files(where: $v) { totalCount } }"),
    ("String", "{ files(where: { nameContains: $v }) { totalCount edges { node { id } } } }"),
    ("DateTime", "{ files(where: { createdFrom: $v }) { totalCount edges { node { id } } } }"),
    ("ByteCount", "{ files(where: { sizeFrom: $v }) { totalCount edges { node { id } } } }"),
    ("ID", "{ files(where: { workspaceId: $v }) { totalCount edges { node { id } } } }"),
    ("[String!]", "{ files(where: { mediaTypes: $v }) { totalCount edges { node { id } } } }"),
    ("FileOrder", "{ files(orderBy: $v) { totalCount } }"),
    ("SignupInput!", "{ signup(input: $v) { problems { code } } }"),
    ("LoginInput!", "{ login(input: $v) { problems { code } } }"),
    ("String!", "{ login(input: { username: $v, password: $v }) { problems { code } } }"),
    ("String!", "{ login(input: { email: $v, password: $v }) { problems { code } } }"),
    ("String!", "{ signup(input: { username: $v, email: $v, password: $v }) { problems { code } } }"),
    ("Upload!", "{ uploadFile(input: { file: $v }) { problems { code } } }"),
    ("UploadFilesInput!", "{ uploadFiles(input: $v) { problems { code } } }"),
    ("ID!", '{ renameFile(input: { id: $v, name: "a.txt" }) { problems { code } } }'),
    ("[ID!]!", "{ purgeFiles(input: { ids: $v }) { problems { code } } }"),
]


async def test_variables_of_any_shape_are_never_our_fault(client: AsyncClient) -> None:
    ada = await sign_up(client)
    headers = {"content-type": "application/json", "accept": GRAPHQL, **ada.headers}
    for declared, use in HOSTILE_USES:
        is_mutation = any(name in use for name in ("signup", "login", "upload", "rename", "purge"))
        query = f"{'mutation' if is_mutation else 'query'} ($v: {declared}) {use}"
        for variables in HOSTILE_VARIABLES:
            body = f'{{"query": {json.dumps(query)}, "variables": {variables}}}'
            answer = await client.post("/graphql", content=body.encode(), headers=headers)
            assert answer.status_code in {200, 400}, (query, variables[:60], answer.text[:500])
            codes = {error["extensions"]["code"] for error in answer.json().get("errors", [])}
            assert "INTERNAL" not in codes, (query, variables[:60])
            assert "GRAPHQL_VALIDATION_FAILED" not in codes, (query, answer.text[:300])
