import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, inspect, make_url, select, text
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from db import migrations
from db.engine import ALEMBIC_INI, Database, NotMigrated, migrate
from db.models import (
    AnalyticsExport,
    ApiKey,
    ApiKeySecret,
    Blob,
    Challenge,
    DailyMediaType,
    DailyTotal,
    DailyUser,
    Delta,
    Event,
    ExportFormat,
    ExportReport,
    File,
    HeldMediaType,
    HeldUser,
    IdempotencyKey,
    Invitation,
    Job,
    KnownDevice,
    MailToken,
    MailTokenPurpose,
    Member,
    MonthlyMediaType,
    MonthlyTotal,
    MonthlyUser,
    Quota,
    QuotaKind,
    Record,
    RecoveryCode,
    RefreshToken,
    Session,
    StorageCheck,
    StreamTicket,
    TwoFactor,
    Upload,
    UploadPart,
    UploadTransport,
    User,
    Version,
    Workspace,
    WorkspaceRole,
)

NOW = datetime.now(UTC)


def mail_token(user: User) -> MailToken:
    return MailToken(
        token_hash="h" * 64,
        purpose=MailTokenPurpose.VERIFY_EMAIL,
        user_id=user.id,
        email="Ada@x.org",
        created_at=NOW,
        expires_at=NOW,
    )


def ways_in(user: User) -> list[SQLModel]:
    session = Session(user_id=user.id, created_at=NOW, last_used_at=NOW, expires_at=NOW)
    key = ApiKey(
        user_id=user.id, name="CI", token_prefix="cairn_abc", scopes=["admin"], addresses=["::/0"], created_at=NOW
    )
    return [
        KnownDevice(user_id=user.id, place="192.0.2.1", last_login_at=NOW),
        session,
        RefreshToken(token_hash="h" * 64, session_id=session.id, created_at=NOW),
        StreamTicket(token_hash="h" * 64, session_id=session.id, created_at=NOW, expires_at=NOW),
        TwoFactor(user_id=user.id, sealed_secret="s", created_at=NOW),
        RecoveryCode(user_id=user.id, code_hash="h" * 64),
        Challenge(token_hash="h" * 64, user_id=user.id, created_at=NOW, expires_at=NOW),
        key,
        ApiKeySecret(secret_hash="s" * 64, api_key_id=key.id, created_at=NOW),
    ]


def counted(user: User, workspace: Workspace) -> list[SQLModel]:
    scope: dict[str, Any] = {"scope_id": workspace.id}
    return [
        Delta(id=1, day=NOW.date(), workspace_id=workspace.id, user_id=user.id, media_type="text/plain", bytes=2**40),
        DailyTotal(**scope, day=NOW.date(), bytes=2**40),
        DailyMediaType(**scope, day=NOW.date(), media_type="text/plain", bytes=2**40),
        DailyUser(**scope, user_id=user.id, day=NOW.date(), bytes=2**40),
        MonthlyTotal(**scope, month=NOW.date(), bytes=2**40),
        MonthlyMediaType(**scope, month=NOW.date(), media_type="text/plain", bytes=2**40),
        MonthlyUser(**scope, user_id=user.id, month=NOW.date(), bytes=2**40),
        HeldMediaType(**scope, media_type="text/plain", bytes=2**40),
        HeldUser(**scope, user_id=user.id, bytes=2**40),
    ]


def upload_into(workspace: Workspace, user: User) -> Upload:
    return Upload(
        workspace_id=workspace.id,
        created_by_id=user.id,
        transport=UploadTransport.PARTS,
        name="A",
        size=2**40,
        reserved=2**40,
        part_size=2**33,
        blob_key="u" * 32,
        refusal={"type": "NotFound"},
        created_at=NOW,
        updated_at=NOW,
        expires_at=NOW,
    )


def export_for(user: User) -> AnalyticsExport:
    return AnalyticsExport(
        user_id=user.id,
        is_administrator=True,
        job_id=uuid7(),
        report=ExportReport.USERS,
        format=ExportFormat.CSV,
        since=NOW.date(),
        until=NOW.date(),
        row_count=2**40,
        refusal={"type": "NotFound"},
        created_at=NOW,
    )


def rows_of_every_table() -> list[SQLModel]:
    """One row per table, in the order that their keys ask for."""
    user = User(
        username="Ada",
        username_folded="ada",
        email="Ada@x.org",
        email_folded="ada@x.org",
        password_hash="-",
        created_at=NOW,
        updated_at=NOW,
    )
    workspace = Workspace(name="Personal", personal_user_id=user.id, created_at=NOW)
    blob = Blob(
        key="k" * 32, store="disk", size=2**40, digest="d", crc32=2**32 - 1, encryption={"by": "nobody"}, created_at=NOW
    )
    content: dict[str, Any] = {"size": blob.size, "media_type": "text/plain", "digest": "d", "created_at": NOW}
    file = File(
        workspace_id=workspace.id,
        uploaded_by_id=user.id,
        name="A",
        name_folded="a",
        version_id=uuid7(),
        updated_at=NOW,
        **content,
    )
    upload = upload_into(workspace, user)
    return [
        user,
        *ways_in(user),
        mail_token(user),
        workspace,
        Member(workspace_id=workspace.id, user_id=user.id, role=WorkspaceRole.OWNER, created_at=NOW),
        blob,
        file,
        Version(id=file.version_id, file_id=file.id, number=1, blob_key=blob.key, **content),
        Invitation(
            workspace_id=workspace.id,
            email_folded="b@x.org",
            role=WorkspaceRole.VIEWER,
            invited_by_id=user.id,
            token_hash="h",
            created_at=NOW,
            expires_at=NOW,
        ),
        upload,
        UploadPart(upload_id=upload.id, number=1, size=2**33, created_at=NOW),
        Quota(owner_id=workspace.id, kind=QuotaKind.WORKSPACE, quota_limit=2**41, used=2**40, reserved=2**40, files=1),
        IdempotencyKey(user_id=user.id, key="k", request_digest="d", target_id=file.id, created_at=NOW),
        Event(kind="user.created", actor_id=user.id, data={"a": [1]}, created_at=NOW),
        StorageCheck(requested_by_id=user.id, repairs=True, digests=False, created_at=NOW, updated_at=NOW),
        export_for(user),
        Job(kind="mail.send", payload={"a": [1]}, run_at=NOW, created_at=NOW, updated_at=NOW),
        *counted(user, workspace),
    ]


def test_every_table_has_a_row_to_go_down_and_up_with() -> None:
    assert {type(row).__tablename__ for row in rows_of_every_table()} == {*Record.metadata.tables}


async def fill(url: str) -> None:
    database = Database(url)
    async with database.transaction() as tx:
        await tx.add(*rows_of_every_table())
    await database.close()


async def tables_with_a_row(url: str) -> int:
    database = Database(url)
    async with database.reading() as rows:
        counts = [await rows.scalar(select(func.count()).select_from(type(row))) for row in rows_of_every_table()]
    await database.close()
    return counts.count(1)


async def test_migrations_run_down_and_up_again_with_rows_in_the_tables(database_url: str) -> None:
    await fill(database_url)
    filled = len(rows_of_every_table())
    assert await tables_with_a_row(database_url) == filled
    await asyncio.to_thread(migrate, database_url, "base")
    await asyncio.to_thread(migrate, database_url)
    assert await tables_with_a_row(database_url) == 0
    await fill(database_url)
    assert await tables_with_a_row(database_url) == filled


async def test_the_tables_in_code_are_those_that_the_migrations_make(database_url: str) -> None:
    await asyncio.to_thread(migrations.check, ALEMBIC_INI, database_url)


async def test_a_database_that_is_not_migrated_is_told_from_one_that_is(database_url: str) -> None:
    database = Database(database_url)
    await database.check()
    await asyncio.to_thread(migrate, database_url, "base")
    with pytest.raises(NotMigrated, match="at migration none, the service needs 0"):
        await database.check()
    await database.close()


async def test_migrating_an_embedded_database_makes_it(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    await asyncio.to_thread(migrate, url)
    database = Database(url)
    await database.check()
    await database.close()


def test_every_constraint_and_index_has_the_name_that_the_convention_gives(sqlite_url: str) -> None:
    engine = create_engine(make_url(sqlite_url).set(drivername="sqlite"))
    inspector = inspect(engine)
    for table in set(inspector.get_table_names()) - {"alembic_version"}:
        named = [
            *inspector.get_unique_constraints(table),
            *inspector.get_check_constraints(table),
            *inspector.get_foreign_keys(table),
            *inspector.get_indexes(table),
            inspector.get_pk_constraint(table),
        ]
        for constraint in named:
            prefix, _, rest = str(constraint["name"]).partition("_")
            assert prefix in {"uq", "ck", "fk", "ix", "pk"}
            assert rest.startswith(table)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() in {"wal", "delete"}
    engine.dispose()
