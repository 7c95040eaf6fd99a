"""Records of which there are many in every direction, for tests of what a question costs.

Everybody has a workspace with one file. One workspace has everybody as a member, and most of the files, and one of
these most of the versions. One person is a member everywhere, and has most of the sessions, keys, uploads and events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from db.engine import Database
from db.frequent_inserts import FrequentInsert
from db.models import (
    ApiKey,
    ApiKeySecret,
    Blob,
    Event,
    File,
    Invitation,
    Member,
    Quota,
    QuotaKind,
    Session,
    Upload,
    UploadState,
    UploadTransport,
    User,
    Version,
    Workspace,
    WorkspaceRole,
)
from tests.records import NOW

CROWD = 2500
TABLES: tuple[type[SQLModel], ...] = (
    User,
    Workspace,
    Member,
    Session,
    ApiKey,
    ApiKeySecret,
    Blob,
    File,
    Version,
    Upload,
    Event,
    Invitation,
    Quota,
)
_INSERT = FrequentInsert(*TABLES)
_LATER = NOW + timedelta(days=30)
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asker:
    """A person, and one of each thing that the person can ask for. What is in the crowded workspace is `shared`."""

    id: UUID
    session_id: UUID
    api_key_id: UUID
    secret_hash: str
    upload_id: UUID
    workspace_id: UUID


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who asks, and for what: one person with much of everything, two with little, and what they share."""

    quiet: Asker
    busy: Asker
    neighbour: Asker
    shared_id: UUID
    file_ids: Sequence[UUID]
    version_ids: Sequence[UUID]
    worn_file_id: UUID
    invitation_id: UUID


class Filling:
    """Makes rows, and keeps them by table, in `rows`, until they are written."""

    def __init__(self) -> None:
        self.rows: dict[type[SQLModel], list[Values]] = {table: [] for table in TABLES}
        self._number = 0

    async def write(self, db: Database) -> None:
        """Write what was made since the last time."""
        async with db.transaction() as tx:
            await tx.insert_all(_INSERT, [self.rows[table] for table in TABLES])
        self.rows = {table: [] for table in TABLES}

    def add(self, table: type[SQLModel], **values: Any) -> Values:
        """A row, with an id of its own if its table has ids, and a time after that of the one before."""
        self._number += 1
        own = {"id": uuid7()} if "id" in table.model_fields else {}
        made = own | _times(table, self._number) | values
        self.rows[table].append(made)
        return made

    def person(self) -> Asker:
        """Somebody with one of everything."""
        name = f"person{self._number}"
        emails = {"email": f"{name}@example.com", "email_folded": f"{name}@example.com"}
        user = self.add(User, username=name, username_folded=name, password_hash="-", role="USER", **emails)["id"]
        workspace = self.add(Workspace, name=name, personal_user_id=user)["id"]
        self.member(workspace, user)
        self.add(Quota, owner_id=user, kind=QuotaKind.USER, used=0, reserved=0, files=0)
        self.add(Quota, owner_id=workspace, kind=QuotaKind.WORKSPACE, used=0, reserved=0, files=0)
        self.file(workspace, user)
        key, secret = self.key(user)
        return Asker(user, self.session(user), key, secret, self.upload(workspace, user), workspace)

    def member(self, workspace_id: UUID, user_id: UUID) -> None:
        """A membership."""
        self.add(Member, workspace_id=workspace_id, user_id=user_id, role=WorkspaceRole.OWNER)

    def session(self, user_id: UUID) -> UUID:
        """A session."""
        return UUID(str(self.add(Session, user_id=user_id, last_used_at=NOW, expires_at=_LATER)["id"]))

    def key(self, user_id: UUID) -> tuple[UUID, str]:
        """An API key, and the hash of its secret."""
        key = self.add(ApiKey, user_id=user_id, name="key", token_prefix="c", scopes=[], addresses=[])["id"]
        return key, self.add(ApiKeySecret, secret_hash=key.hex, api_key_id=key)["secret_hash"]

    def file(self, workspace_id: UUID, user_id: UUID) -> tuple[UUID, UUID]:
        """A file of one version; its id, and the version's."""
        file_id, version_id = uuid7(), uuid7()
        names = {"name": f"{file_id}.txt", "name_folded": f"{file_id}.txt", "version_id": version_id}
        owners = {"workspace_id": workspace_id, "uploaded_by_id": user_id}
        self.add(File, id=file_id, status="READY", revision=1, **names, **owners, **_CONTENT)
        self.version(file_id, version_id, user_id, 1)
        return file_id, version_id

    def version(self, file_id: UUID, version_id: UUID, user_id: UUID, number: int) -> None:
        """A version of a file, with its blob."""
        key = self.add(Blob, key=version_id.hex, store="disk", size=1, digest="0" * 64, crc32=0)["key"]
        whose = {"file_id": file_id, "created_by_id": user_id}
        self.add(Version, id=version_id, number=number, blob_key=key, **whose, **_CONTENT)

    def upload(self, workspace_id: UUID, user_id: UUID) -> UUID:
        """An upload that has not ended."""
        kind = {"transport": UploadTransport.TUS, "state": UploadState.OPEN, "name": "a.txt", "is_partial": False}
        sizes = {"size": 1, "received": 0, "reserved": 1, "blob_key": uuid7().hex, "expires_at": _LATER}
        whose = {"workspace_id": workspace_id, "created_by_id": user_id}
        return UUID(str(self.add(Upload, **kind, **sizes, **whose)["id"]))

    def invitation(self, workspace_id: UUID, user_id: UUID) -> UUID:
        """An open invitation."""
        made = self.add(
            Invitation,
            workspace_id=workspace_id,
            invited_by_id=user_id,
            email_folded=f"{uuid7()}@example.com",
            role=WorkspaceRole.VIEWER,
            token_hash=uuid7().hex,
            expires_at=_LATER,
        )
        return UUID(str(made["id"]))


_CONTENT: Mapping[str, Any] = {"size": 1, "media_type": "text/plain", "digest": "0" * 64}


def _times(table: type[SQLModel], number: int) -> Values:
    at = NOW + timedelta(seconds=number)
    return {name: at for name in ("created_at", "updated_at") if name in table.model_fields}


def begin_crowd(filling: Filling) -> tuple[Asker, list[Asker], UUID]:
    """Those who have one of everything: one who will be busy, all others, and the workspace that they will share."""
    busy = filling.person()
    people = [filling.person() for _ in range(CROWD)]
    shared_id: UUID = filling.add(Workspace, name="shared", personal_user_id=None)["id"]
    for asker in (busy, people[0]):
        filling.member(shared_id, asker.id)
    return busy, people, shared_id


def end_crowd(filling: Filling, begun: tuple[Asker, list[Asker], UUID]) -> Crowd:
    """What makes one of them busy, and the workspace crowded."""
    busy, people, shared_id = begun
    quiet = people[0]
    for asker in people[1:]:
        filling.member(shared_id, asker.id)
        filling.member(asker.workspace_id, busy.id)
    files = [filling.file(shared_id, busy.id) for _ in range(CROWD)]
    worn_file_id = filling.file(shared_id, busy.id)[0]
    for number in range(CROWD):
        filling.version(worn_file_id, uuid7(), busy.id, number + 2)
        filling.session(busy.id)
        filling.key(busy.id)
        filling.upload(shared_id, busy.id)
        filling.add(Event, kind="file.uploaded", actor_id=busy.id, workspace_id=shared_id, target_id=worn_file_id)
    invitations = [filling.invitation(shared_id, busy.id) for _ in range(CROWD)]
    middle = CROWD // 2
    file_ids, version_ids = zip(*files[middle : middle + 3], strict=True)
    return Crowd(quiet, busy, people[1], shared_id, file_ids, version_ids, worn_file_id, invitations[middle])
