"""Rows for tests that need people and files without the whole service, and ports to ask the rules with."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, cast
from uuid import UUID
from zlib import crc32

from sqlalchemy import select
from sqlmodel import col
from uuid_utils.compat import uuid7

from api.ports import SystemRandomness
from api.seals import AesSealer
from db import quotas
from db.analytics_rollups import begin_user
from db.engine import Database
from db.models import (
    Blob,
    File,
    FileStatus,
    MailTokenPurpose,
    Member,
    QuotaKind,
    Session,
    User,
    UserRole,
    Version,
    Workspace,
    WorkspaceRole,
)
from db.quotas import Entry
from db.rates import RateCounter
from domain.policy import KeyPolicy, Rates, SessionPolicy, UploadPolicy, UploadSessionPolicy, WorkspacePolicy
from domain.ports import Ports
from domain.rates import Allowance
from domain.signatures import Signer
from domain.tokens import TokenIssuer, shared_key
from domain.viewer import NOBODY

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class MovableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def seconds(self) -> float:
        return self.time.timestamp()

    def forward(self, **span: float) -> None:
        self.time += timedelta(**span)


class Tally:
    """Counts what a test looks at."""

    def __init__(self) -> None:
        self.ends = Counter[tuple[str, str]]()

    def upload_ended(self, transport: str, end: str) -> None:
        self.ends[transport, end] += 1


def make_ports(clock: MovableClock, rates: Rates | None = None) -> Ports:
    """Ports without a hasher and a mailer. What is counted is forgotten with them."""
    absent = cast("Any", None)
    return Ports(
        clock=clock,
        randomness=SystemRandomness(),
        hasher=absent,
        mailer=absent,
        sealer=AesSealer((b"e" * 32,)),
        tokens=TokenIssuer((shared_key(b"t" * 32),), "https://files.example", timedelta(hours=1)),
        signer=Signer(b"s" * 32),
        policy=UploadPolicy(1 << 30, 100, frozenset({"txt"}), frozenset({"exe"})),
        workspace_policy=WorkspacePolicy(0, 0, timedelta(days=7)),
        upload_sessions=UploadSessionPolicy(timedelta(days=1), timedelta(days=7), 5, 1 << 20, 1 << 20),
        session_policy=SessionPolicy(timedelta(days=30), timedelta(days=365)),
        key_policy=KeyPolicy(3),
        mail_token_lifetimes=dict.fromkeys(MailTokenPurpose, timedelta(hours=1)),
        limiter=RateCounter(None, clock.seconds),
        rates=rates or {},
        meter=Tally(),
        public_url="https://files.example",
        store_name="disk",
    )


def uncounted() -> Allowance:
    """For an upload that nobody counts."""
    return Allowance(make_ports(MovableClock()), NOBODY)


@dataclass(frozen=True, slots=True)
class Person:
    """A user with the workspace that is their own, and a session."""

    id: UUID
    workspace_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Bytes:
    """What a file is made of in a test."""

    data: bytes
    key: str
    name: str = "notes.txt"
    media_type: str = "text/plain"
    status: FileStatus = FileStatus.READY
    created_at: datetime = NOW

    def renamed(self, name: str, media_type: str) -> "Bytes":
        return replace(self, name=name, media_type=media_type)

    @property
    def digest(self) -> str:
        return sha256(self.data).hexdigest()


def a_user(name: str, *, is_disabled: bool = False, role: UserRole = UserRole.USER) -> User:
    """A user as it is before it is written."""
    return User(
        username=name,
        username_folded=name,
        email=f"{name}@example.com",
        email_folded=f"{name}@example.com",
        password_hash="-",
        role=role,
        disabled_at=NOW if is_disabled else None,
        created_at=NOW,
        updated_at=NOW,
    )


async def add_person(db: Database, name: str, *, is_disabled: bool = False, role: UserRole = UserRole.USER) -> Person:
    [person] = await add_people(db, a_user(name, is_disabled=is_disabled, role=role))
    return person


async def add_people(db: Database, *users: User) -> list[Person]:
    """Users with what belongs to each, in one transaction."""
    workspaces = [Workspace(name=user.username, personal_user_id=user.id, created_at=NOW) for user in users]
    sessions = [a_session(user.id) for user in users]
    people = [
        Person(*ids) for ids in zip(*([row.id for row in rows] for rows in (users, workspaces, sessions)), strict=True)
    ]
    members = [a_member(person.workspace_id, person.id, WorkspaceRole.OWNER) for person in people]
    async with db.transaction() as tx:
        await tx.add(*users, *workspaces, *sessions, *members)
        for user in users:
            await begin_user(tx, user.id)
    return people


def a_session(user_id: UUID, created_at: datetime = NOW) -> Session:
    """A session as it is before it is written."""
    end = created_at + timedelta(days=30)
    return Session(user_id=user_id, created_at=created_at, last_used_at=created_at, expires_at=end)


def a_member(workspace_id: UUID, user_id: UUID, role: WorkspaceRole) -> Member:
    """A membership as it is before it is written."""
    return Member(workspace_id=workspace_id, user_id=user_id, role=role, created_at=NOW)


async def add_member(
    db: Database, workspace_id: UUID, user_id: UUID, role: WorkspaceRole = WorkspaceRole.VIEWER
) -> None:
    async with db.transaction() as tx:
        await tx.add(a_member(workspace_id, user_id, role))


async def add_workspace(db: Database, name: str, **members: tuple[UUID, WorkspaceRole]) -> UUID:
    """A shared workspace with these members; the keywords are only for reading."""
    workspace = Workspace(name=name, created_at=NOW)
    async with db.transaction() as tx:
        await tx.add(workspace, *(a_member(workspace.id, *member) for member in members.values()))
    return workspace.id


async def add_file(db: Database, owner: Person, content: Bytes) -> tuple[UUID, UUID]:
    """A file of one version; its id and the version's."""
    file = File(
        workspace_id=owner.workspace_id,
        uploaded_by_id=owner.id,
        name=content.name,
        name_folded=content.name,
        version_id=uuid7(),
        size=len(content.data),
        media_type=content.media_type,
        digest=content.digest,
        status=content.status,
        created_at=content.created_at,
        updated_at=content.created_at,
    )
    async with db.transaction() as tx:
        await tx.add(_blob(content), file, _version(file.id, file.version_id, 1, content))
        size = len(content.data)
        await quotas.post(
            tx, [Entry(owner.workspace_id, QuotaKind.WORKSPACE, size, 0, 1), Entry(owner.id, QuotaKind.USER, 0, 0, 1)]
        )
    return file.id, file.version_id


async def add_version(db: Database, file_id: UUID, number: int, content: Bytes) -> UUID:
    """Another version of a file, not made the current one."""
    version_id = uuid7()
    async with db.transaction() as tx:
        await tx.add(_blob(content), _version(file_id, version_id, number, content))
        workspace_id = await tx.scalar(select(col(File.workspace_id)).where(col(File.id) == file_id))
        await quotas.post(tx, [Entry(workspace_id, QuotaKind.WORKSPACE, len(content.data), 0, 0)])
    return version_id


def _blob(content: Bytes) -> Blob:
    return Blob(
        key=content.key,
        store="disk",
        size=len(content.data),
        digest=content.digest,
        crc32=crc32(content.data),
        created_at=content.created_at,
    )


def _version(file_id: UUID, version_id: UUID, number: int, content: Bytes) -> Version:
    return Version(
        id=version_id,
        file_id=file_id,
        number=number,
        blob_key=content.key,
        size=len(content.data),
        media_type=content.media_type,
        digest=content.digest,
        created_at=content.created_at,
    )
