"""The matrix: everything that takes an id, asked by every kind of asker, and everything else that can be asked."""

import re
from asyncio import gather
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from uuid_utils.compat import uuid7

from api.graphiql import FILES_PATH
from api.parts import Parts, parts_of
from api.settings import Settings
from domain.rights import RIGHTS, Outcome, Outcomes
from tests.asking import PASSWORD
from tests.fields import CONTENT, WAYS, Field, Path, nested_fields, node_types, root_fields
from tests.routing import router_of
from tests.stage import ASKERS, Stage, set_stage

NODES = ("node", "nodes")
ROUTES = {
    "download": "/files/{file_id}/download",
    "download_version": "/files/{file_id}/versions/{version_id}/download",
    "download_by_link": "/files/{file_id}/versions/{version_id}/download",
    "continue_by_tus": "/uploads/{upload_session_id}",
}
# Whose right is in the URL, whoever asks: tests/api/test_signed_uploads.py.
SIGNED = {"/uploads/{upload_id}/content", "/uploads/{upload_id}/parts/{number}"}
NO_BYTES = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
NOUNS = {"file", "workspace", "upload_session", "storage_check", "analytics_export"}
MEMBERS = {"owner", "editor", "viewer"}

# What an id names, by the place that takes it; `id` and `ids` by the verb.
NAMED = {
    "workspaceId": "workspace",
    "uploadedById": "owner",
    "actorId": "owner",
    "userId": "companion",
    "handOverTo": "deputy",
    "replaces": "file",
    "targetId": "file",
    "versionId": "version",
}
NAMED_BY_VERB = {
    "user": "companion",
    "set_user_role": "companion",
    "set_user_disabled": "companion",
    "delete_user": "companion",
    "purge_files": "file",
    "restore_version": "file",
    "complete_upload": "upload_session",
    "abort_upload": "upload_session",
    "upload_progress": "upload_session",
}
# What is said beside ids, so that there is something to change.
GIVEN: dict[str, dict[Path, object]] = {
    "signup": {("input", "password"): PASSWORD},
    "login": {("input", "password"): PASSWORD},
    "start_two_factor": {("input", "password"): PASSWORD},
    "disable_two_factor": {("input", "password"): PASSWORD},
    "change_email": {("input", "email"): "new@example.org", ("input", "password"): PASSWORD},
    "change_password": {("input", "currentPassword"): PASSWORD, ("input", "newPassword"): f"{PASSWORD}, once more"},
    "request_password_reset": {("input", "email"): "who@example.org"},
    "delete_account": {("input", "password"): PASSWORD},
    "create_api_key": {("input", "scopes"): ["files:read"]},
    "update_api_key": {("input", "name"): "another program"},
    "delete_workspace": {("input", "purgeFiles"): True},
    "update_member": {("input", "role"): "VIEWER"},
    "invite_member": {("input", "email"): "ida@example.org"},
    "create_upload": {("input", "name"): "a.txt"},
    "rename_file": {("input", "name"): "other.txt"},
    "set_quota": {("input", "limit"): 5},
    "set_user_role": {("input", "role"): "ADMIN"},
    "set_user_disabled": {("input", "disabled"): True},
}
# Whose right is a secret that a test of its own has; here they are asked with none, and say so.
BY_SECRET = {
    "complete_login": "CHALLENGE_INVALID",
    "refresh_session": "REFRESH_TOKEN_INVALID",
    "confirm_two_factor": "TWO_FACTOR_OFF",
    "disable_two_factor": "TWO_FACTOR_OFF",
    "verify_email": "MAIL_TOKEN_INVALID",
    "confirm_email": "MAIL_TOKEN_INVALID",
    "reset_password": "MAIL_TOKEN_INVALID",
}
# One for each select that finds something for somebody: where databases could differ.
ON_BOTH = {
    "node: file",
    "node: version",
    "node: user",
    "files",
    "download",
    "download_by_link",
    "upload_file",
    "restore_version",
    "complete_upload",
    "upload_sessions",
    "continue_by_tus",
    "purge_files",
    "update_member",
    "revoke_invitation",
    "accept_invitation",
    "revoke_session",
    "update_api_key",
    "activity",
    "set_user_role",
    "check_storage",
    "analytics_export",
    "export_analytics",
}
PREFIXES = ("file", "ver", "user", "wsp", "upl")
TOLD_APART = {"x-request-id", "date", "content-length"}

FIELDS = {field.verb: field for field in root_fields()} | {field.verb: field for _, field in nested_fields()}


@dataclass(frozen=True, slots=True)
class Call:
    """One way to ask for a verb: where it names what."""

    verb: str
    named: Mapping[Path, str]

    async def ask(self, stage: Stage, asker: str, ids: Mapping[Path, str] | None = None) -> Response:
        """Ask, for the things of the stage or, at some places, for what these ids name."""
        told = {place: stage.ids[name] for place, name in self.named.items()} | dict(ids or {})
        if self.verb not in ROUTES:
            given = _given(self.verb, stage) | told
            if ("input", "replaces") in told:
                given.pop(("input", "name"), None)  # a new version has the name of its file
            return await field_of(self.verb).ask(stage.client, stage.headers[asker], given)
        if self.verb == "continue_by_tus":
            url = ROUTES[self.verb].format(upload_session_id=told["upload_session_id",])
            return await stage.client.patch(url, headers={**stage.headers[asker], **NO_BYTES})
        file_id, version_id = told["file_id",], told.get(("version_id",), "")
        if self.verb != "download_by_link":
            url = ROUTES[self.verb].format(file_id=file_id, version_id=version_id)
            return await stage.client.get(url, headers=stage.headers[asker])
        if asker == "lesser_key":  # it cannot sign, and is told so where links are made
            query = {"query": f'{{ file(id: "{file_id}") {{ downloadUrl }} }}'}
            return await stage.client.post("/graphql", json=query, headers=stage.headers[asker])
        return await stage.client.get(stage.link(asker, file_id, version_id))


def field_of(verb: str) -> Field:
    return FIELDS[verb.partition(":")[0]]


def calls_of(verb: str) -> list[Call]:
    """All that a verb needs to be named at once, and each of what it can do without by itself."""
    if verb in ROUTES:
        names = re.findall(r"{(\w+)_id}", ROUTES[verb])
        return [Call(verb, {(f"{name}_id",): name for name in names})]
    field = field_of(verb)
    named = {place: _named(verb, place) for place in field.places}
    needed = {place: name for place, name in named.items() if field.is_needed(place)}
    if ("input", "handOverTo") in named:
        return [Call(verb, named)]  # what somebody owns alone has to go to somebody
    apart = [Call(verb, {**needed, place: name}) for place, name in named.items() if place not in needed]
    return [Call(verb, needed), *apart] if needed or not apart else apart


def _named(verb: str, place: Path) -> str:
    noun = verb.partition(": ")[2] or (
        verb
        if verb in {"file", "workspace", "upload_session", "storage_check", "analytics_export"}
        else verb.partition("_")[2]
    )
    return NAMED.get(place[-1]) or NAMED_BY_VERB.get(verb) or NAMED_BY_VERB.get(noun, noun)


def _given(verb: str, stage: Stage) -> dict[Path, object]:
    given = dict(GIVEN.get(verb, {}))
    if verb in {"signup", "update_profile"}:
        given["input", "username"] = name = f"new-{uuid7().hex[-12:]}"
    if verb == "signup":
        given["input", "email"] = f"{name}@example.org"
    if verb == "login":
        given["input", "username"] = stage.names["viewer"]
    if verb == "accept_invitation":
        given["input", "token"] = stage.token
    return given


def outcome_of(call: Call, answer: Response) -> str:
    """What the asker was told."""
    body = answer.json() if "json" in answer.headers.get("content-type", "") else None
    if body is None:
        assert answer.status_code == 204 or answer.content == CONTENT
        return Outcome.ALLOWED
    codes = [body["code"]] if "code" in body else [error["extensions"]["code"] for error in body.get("errors", ())]
    if not codes and (found := _found(call, body["data"])):
        codes = [problem["code"] for problem in _problems(found)]
        if not codes or codes == [BY_SECRET.get(call.verb)]:
            return Outcome.ALLOWED
    return _outcome_of_code(codes[0]) if codes else Outcome.NOT_FOUND


def _outcome_of_code(code: str) -> str:
    return Outcome[code] if code in Outcome.__members__ else code


def _found(call: Call, data: Any) -> Any:
    """What the field gave; nothing where that is null, or a list of nothing."""
    field = field_of(call.verb)
    for name in (*field.way, field.name):
        data = data and data[name]
    if isinstance(data, list):
        return [item for item in data if item]
    return None if data and data.get("nodes") == [] else data


def _problems(found: Any) -> list[dict[str, Any]]:
    if isinstance(found, list):
        return []
    return [problem for each in (found, *found.get("results", ())) for problem in each.get("problems", ())]


def told(answer: Response, *ids: str) -> tuple[int, dict[str, str], str]:
    """All that an asker can learn from an answer, but for what it said itself and what differs from one to the next."""
    text = answer.text.replace(answer.headers["x-request-id"], "REQUEST")
    for named in ids:
        text = text.replace(named, "ID")
    fields = {name: value for name, value in answer.headers.items() if name not in TOLD_APART}
    return answer.status_code, fields, text


def others(named: str) -> list[str]:
    """Ids that stand for nothing where this one is asked for: never given out, and of another kind."""
    prefix, _, digits = named.partition("_")
    return [f"{prefix}_{uuid7().hex}", *(f"{other}_{digits}" for other in PREFIXES if other != prefix)]


@pytest.fixture
async def parts(settings: Settings) -> AsyncIterator[Parts]:
    """What the service is made of, once more, to look behind it."""
    made = parts_of(settings)
    yield made
    made.hasher.close()
    await made.db.close()


def test_whatever_can_be_asked_has_a_right_and_whatever_has_one_can_be_asked() -> None:
    roots = {field.verb for field in root_fields()} - {*NODES}
    nested = {field.verb for _, field in nested_fields()}
    nodes = {f"{verb}: {noun}" for verb in NODES for noun in node_types()}
    assert {*RIGHTS} == roots | nested | nodes | {*ROUTES}


def test_every_nested_field_that_takes_an_id_is_reached() -> None:
    assert {name for name, _ in nested_fields()} == {*WAYS}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_route_that_takes_an_id_is_in_the_matrix(app: ASGIApp) -> None:
    routes = router_of(app).routes
    taking = {getattr(route, "path", "") for route in routes if getattr(route, "param_convertors", None)}
    named = {path.replace("{upload_session_id}", "{upload_id}") for path in ROUTES.values()}
    assert taking == {*named, *SIGNED, FILES_PATH}
    others = [route for route in routes if not isinstance(route, Route | WebSocketRoute)]
    assert [getattr(route, "path", "") for route in others] == [FILES_PATH]


def everywhere(verbs: Iterable[str]) -> pytest.MarkDecorator:
    """Each verb on SQLite, and on PostgreSQL those that its selects decide about."""
    pairs = [(kind, verb) for verb in verbs for kind in ("sqlite", "postgresql") if kind == "sqlite" or verb in ON_BOTH]
    return pytest.mark.parametrize(("database_url", "verb"), pairs, indirect=["database_url"])


@everywhere(RIGHTS)
async def test_everybody_is_told_what_the_table_says(parts: Parts, client: AsyncClient, verb: str) -> None:
    expected = RIGHTS[verb].outcomes
    for call in calls_of(verb):
        stage = await set_stage(parts, client, RIGHTS[verb])
        before = await stage.rows()
        answers: dict[str, Response] = {}
        for asker in sorted(ASKERS, key=lambda asker: getattr(expected, asker) is Outcome.ALLOWED):
            is_allowed = getattr(expected, asker) is Outcome.ALLOWED
            if is_allowed and _changes(verb):
                stage = await set_stage(parts, client, RIGHTS[verb])
                before = await stage.rows()
            answers[asker] = await call.ask(stage, asker)
            after = await stage.rows()
            changed = {table for table, rows in after.items() if rows != before[table]} - {"events"}
            before = after
            assert bool(changed) == (is_allowed and _changes(verb)), (asker, changed, answers[asker].text)
        assert {asker: outcome_of(call, answer) for asker, answer in answers.items()} == expected._asdict()


@everywhere(verb for verb in RIGHTS if any(call.named for call in calls_of(verb)))
async def test_what_may_not_be_seen_is_answered_like_what_is_not_there(
    parts: Parts, client: AsyncClient, verb: str
) -> None:
    expected = RIGHTS[verb].outcomes
    stage = await set_stage(parts, client, RIGHTS[verb])
    before = await stage.rows()
    for call in calls_of(verb):
        for place, name in call.named.items():
            unknown, *of_other_kinds = others(stage.ids[name])
            for asker, other in zip(ASKERS, cycle(of_other_kinds)):
                # In `node` an id of another kind is no mistake, and asks for that kind's scope.
                strange = [unknown] if ":" in verb and asker == "lesser_key" else [unknown, other]
                answers = await gather(*(call.ask(stage, asker, {place: each}) for each in strange))
                absent, *rest = [told(answer, each) for answer, each in zip(answers, strange, strict=True)]
                assert [answer for answer in rest if answer != absent] == [], (place, asker, other)
                if getattr(expected, asker) is Outcome.ALLOWED:
                    assert outcome_of(call, answers[0]) is Outcome.NOT_FOUND, (place, asker)
                elif is_seen(expected, asker):
                    assert outcome_of(call, answers[0]) in {Outcome.FORBIDDEN, Outcome.NOT_FOUND}, (place, asker)
                else:
                    own = told(await call.ask(stage, asker), stage.ids[name])
                    assert own == absent, (place, asker)
    assert await stage.rows() == before


def is_seen(expected: Outcomes, asker: str) -> bool:
    """Whether the asker is refused for its role, and may know what it is refused."""
    return asker in MEMBERS and getattr(expected, asker) is Outcome.FORBIDDEN is not expected.stranger


def _changes(verb: str) -> bool:
    if verb in ROUTES:
        return verb == "continue_by_tus"
    return field_of(verb).operation == "mutation" and verb not in BY_SECRET
