"""A running service with everyone who may ask it something, and one of each thing that they may ask about."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

from httpx2 import AsyncClient
from sqlalchemy import TextClause, text
from uuid_utils.compat import uuid7

from api.parts import Parts
from db.models import (
    AnalyticsExport,
    ApiKey,
    ApiKeySecret,
    ExportFormat,
    ExportReport,
    ExportState,
    Invitation,
    Member,
    Record,
    Session,
    StorageCheck,
    StorageCheckState,
    User,
    UserRole,
    Workspace,
    WorkspaceRole,
)
from domain.downloads import Disposition, LinkTerms, sign_download
from domain.key_secrets import draw_prefix, draw_secret
from domain.opaque_tokens import OpaqueToken, draw_token
from domain.passwords import hash_password
from domain.rights import Outcomes, Right
from domain.scopes import Scope
from domain.tokens import Holder
from domain.viewer import Viewer
from schema.ids import Prefix, decode, encode
from tests.asking import HASHING_BYTES, PASSWORD, Account, ask, uploaded
from tests.backstage import uuid_of

ASKERS = Outcomes._fields
PEOPLE = ("owner", "editor", "viewer", "stranger", "administrator", "disabled", "companion", "deputy")
"""Who has an account. The companion owns the workspace with the owner, and one alone. The deputy administers, too, and
is a member of a workspace that each of the others owns."""
ROLES = {
    "owner": WorkspaceRole.OWNER,
    "editor": WorkspaceRole.EDITOR,
    "viewer": WorkspaceRole.VIEWER,
    "disabled": WorkspaceRole.OWNER,
    "companion": WorkspaceRole.OWNER,
}
CREATE_UPLOAD = "mutation ($input: CreateUploadInput!) { createUpload(input: $input) { uploadSession { id } } }"
# What changes beside the requests: it is written a little later than they are answered.
WRITTEN_LATER = {"last_used_at"}
BY_THEMSELVES = {"events": "kind <> 'file.downloaded'", "deltas": "downloads = 0 AND downloaded = 0"}
_numbers = count(1)
_hash = cache(hash_password)


@dataclass(frozen=True, slots=True)
class Stage:
    """The service, and what is in it: ids by what they name, and what each asker sends to say who it is."""

    parts: Parts
    client: AsyncClient
    ids: Mapping[str, str]
    headers: Mapping[str, Mapping[str, str]]
    names: Mapping[str, str]
    token: str

    async def rows(self) -> dict[str, set[str]]:
        """All that the service remembers, by table: values as text."""
        found: dict[str, set[str]] = {name: set() for name in Record.metadata.tables}
        async with self.parts.db.reading() as rows:
            for row in await rows.all(_remembered()):
                found[row[0]].add(str(row[1:]))
        return found

    def link(self, asker: str, file_id: str, version_id: str) -> str:
        """A link to a content in the name of an asker, whatever it may see; nobody signs none."""
        viewer = Viewer(uuid_of(self.ids["owner" if asker == "nobody" else asker]))
        named = decode(Prefix.FILE, file_id), decode(Prefix.VERSION, version_id)
        url = sign_download(self.parts.ports, viewer, LinkTerms(*named, Disposition.ATTACHMENT, 60))
        # An id of another kind is read as one that names nothing; the path says what was given all the same.
        url = f"/files/{file_id}/versions/{version_id}/download?{url.partition('?')[2]}"
        return url.replace("&signature=", "&signature=x") if asker == "nobody" else url


async def set_stage(parts: Parts, client: AsyncClient, right: Right) -> Stage:
    """Everyone and everything, new; the key of lesser scope has all scopes but the one that the right asks for."""
    number, now = next(_numbers), datetime.now(UTC)
    names = {name: f"{name}-{number}" for name in PEOPLE}
    users = {name: _user(names[name], name, now) for name in PEOPLE}
    sessions = {name: _session(user, now) for name, user in users.items()}
    team, alone = Workspace(name="Team", created_at=now), Workspace(name="Alone", created_at=now)
    key, lesser = (_key(users["owner"], scopes, now) for scopes in ([Scope.FILES_READ], _all_but(right)))
    token, secret = draw_token(parts.ports.randomness), draw_secret(parts.ports.randomness, lesser.token_prefix)
    # The key that is named has secrets of its own: it can be rotated, and the asker goes on.
    own_secret = draw_secret(parts.ports.randomness, key.token_prefix)
    members = {name: _member(team, users[name], role, now) for name, role in ROLES.items()}
    offer = _invitation(members["owner"], users["stranger"], token, now)
    phones = {name: _session(user, now) for name, user in users.items()}
    things: list[Any] = [*users.values(), *sessions.values(), *phones.values(), team, alone, *members.values(), offer]
    # It has ended: another one can be asked for.
    check = StorageCheck(
        state=StorageCheckState.DONE, slot=None, repairs=False, digests=False, created_at=now, updated_at=now
    )
    export = _export(users["owner"], now)
    things += [check, export, key, lesser]
    things += [*_homes(users, now), _member(alone, users["companion"], WorkspaceRole.OWNER, now)]
    things += [
        ApiKeySecret(secret_hash=drawn.hash, api_key_id=of.id, created_at=now)
        for drawn, of in ((secret, lesser), (own_secret, key))
    ]
    # What the stage is made of is read before it is written: the session that writes it is closed then.
    ids: dict[str, str] = {name: str(encode(Prefix.USER, user.id)) for name, user in users.items()} | {
        "workspace": encode(Prefix.WORKSPACE, team.id),
        "session": encode(Prefix.SESSION, phones["owner"].id),
        "api_key": encode(Prefix.API_KEY, key.id),
        "invitation": encode(Prefix.INVITATION, offer.id),
        "storage_check": encode(Prefix.STORAGE_CHECK, check.id),
        "analytics_export": encode(Prefix.ANALYTICS_EXPORT, export.id),
    }
    tokens = {name: _token(parts, session) for name, session in sessions.items()}
    async with parts.db.transaction() as tx:
        await tx.add(*things)
    headers = {
        name: {"Authorization": f"Bearer {text}"} for name, text in {**tokens, "lesser_key": secret.text}.items()
    }
    owner = Account(ids["owner"], names["owner"], tokens["owner"])
    file = await uploaded(client, owner, workspaceId=ids["workspace"])
    found = await ask(client, "query ($id: ID!) { file(id: $id) { version { id } } }", owner, id=file["id"])
    ids |= {"file": file["id"], "version": found["file"]["version"]["id"]}
    await uploaded(client, owner, replaces=file["id"])  # so that there is an older version, to be restored
    announced = await ask(
        client,
        CREATE_UPLOAD,
        owner,
        input={"name": "b.txt", "size": 0, "transport": "TUS", "workspaceId": ids["workspace"]},
    )
    ids["upload_session"] = announced["createUpload"]["uploadSession"]["id"]
    return Stage(parts, client, ids, {**headers, "nobody": {}}, names, token.text)


@cache
def _remembered() -> TextClause:
    # One statement, and text: to ask table by table, and to build dates and UUIDs, would cost more than all else.
    tables = Record.metadata.tables.values()
    widest = max(len(table.columns) for table in tables)
    selects = []
    for table in tables:
        kept = [column.name for column in table.columns if column.name not in WRITTEN_LATER]
        values = [f'CAST("{name}" AS TEXT)' for name in kept] + ["NULL"] * (widest - len(kept))
        condition = BY_THEMSELVES.get(table.name, "TRUE")
        selects.append(f"SELECT '{table.name}', {', '.join(values)} FROM \"{table.name}\" WHERE {condition}")
    return text(" UNION ALL ".join(selects))


def _user(username: str, name: str, now: datetime) -> User:
    return User(
        id=uuid7(),
        username=username,
        username_folded=username,
        email=f"{username}@example.org",
        email_folded=f"{username}@example.org",
        password_hash=_hash(PASSWORD, HASHING_BYTES),
        role=UserRole.ADMIN if name in {"administrator", "deputy"} else UserRole.USER,
        disabled_at=now if name == "disabled" else None,
        created_at=now,
        updated_at=now,
    )


def _session(user: User, now: datetime) -> Session:
    return Session(id=uuid7(), user_id=user.id, created_at=now, last_used_at=now, expires_at=now + timedelta(days=1))


def _token(parts: Parts, session: Session) -> str:
    holder = Holder(session.user_id, session.id)
    return parts.ports.tokens.issue(holder, session.created_at, session.expires_at).text


def _member(workspace: Workspace, user: User, role: WorkspaceRole, now: datetime) -> Member:
    return Member(workspace_id=workspace.id, user_id=user.id, role=role, created_at=now)


def _homes(users: Mapping[str, User], now: datetime) -> list[Workspace | Member]:
    # Rows of a table beside each other, since all of them are one statement, and stages are set a thousand times a run.
    personal = {
        name: Workspace(name="Personal", personal_user_id=user.id, created_at=now) for name, user in users.items()
    }
    lent = {name: Workspace(name="Lent", created_at=now) for name in users if name not in {"companion", "deputy"}}
    owned = [*personal.items(), *lent.items()]
    return [
        *(workspace for _, workspace in owned),
        *(_member(workspace, users[name], WorkspaceRole.OWNER, now) for name, workspace in owned),
        *(_member(workspace, users["deputy"], WorkspaceRole.EDITOR, now) for workspace in lent.values()),
    ]


def _invitation(member: Member, user: User, token: OpaqueToken, now: datetime) -> Invitation:
    return Invitation(
        id=uuid7(),
        workspace_id=member.workspace_id,
        invited_by_id=member.user_id,
        email_folded=user.email_folded,
        role=WorkspaceRole.EDITOR,
        token_hash=token.hash,
        created_at=now,
        expires_at=now + timedelta(days=1),
    )


def _key(user: User, scopes: list[Scope], now: datetime) -> ApiKey:
    return ApiKey(
        id=uuid7(),
        user_id=user.id,
        name="a program",
        token_prefix=draw_prefix(_Numbered()),
        scopes=[str(scope) for scope in scopes],
        addresses=[],
        created_at=now,
    )


def _export(user: User, now: datetime) -> AnalyticsExport:
    return AnalyticsExport(
        user_id=user.id,
        is_administrator=False,
        job_id=None,
        state=ExportState.DONE,
        report=ExportReport.UPLOADS,
        format=ExportFormat.CSV,
        since=now.date(),
        until=now.date(),
        created_at=now,
        ended_at=now,
    )


class _Numbered:
    """Prefixes are for people: they need not be random."""

    def draw(self, length: int) -> bytes:
        return next(_numbers).to_bytes(length, "big")


def _all_but(right: Right) -> list[Scope]:
    return [scope for scope in Scope if scope not in {right.needs, right.or_else}]
