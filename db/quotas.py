"""Selects and writes on the ledger's lines, and how they differ from what they sum up."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Executable, cast, delete, func, literal, or_, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.frequent import FrequentSelect
from db.frequent_inserts import rows_of, written
from db.models import File, Quota, QuotaKind, Upload, Version
from db.rows import UsageRow


class Entry(NamedTuple):
    """What changes on a line: bytes used and reserved, and files."""

    owner_id: UUID
    kind: QuotaKind
    used: int
    reserved: int
    files: int


_COLUMNS = (col(Quota.owner_id), col(Quota.files), col(Quota.used), col(Quota.reserved), col(Quota.quota_limit))
_SUMS = ("used", "reserved", "files")
_Insert: TypeAlias = postgresql.Insert | sqlite.Insert


def _adding(insert: _Insert) -> Executable:
    changed = {name: getattr(Quota, name) + insert.excluded[name] for name in _SUMS}
    return insert.on_conflict_do_update(index_elements=["owner_id"], set_=changed).returning(*_COLUMNS)


# Asked for every upload.
_POSTED = FrequentSelect(_adding(postgresql.insert(Quota).from_select(Entry._fields, rows_of(Quota, Entry._fields))))


async def by_ids(rows: Rows, owner_ids: Sequence[UUID]) -> list[UsageRow]:
    """The lines of these workspaces and users, in no particular order; none where nothing was ever entered."""
    found = await rows.all(select(*_COLUMNS).where(col(Quota.owner_id).in_(owner_ids)))
    return [UsageRow._make(row) for row in found]


async def post(tx: Transaction, entries: Iterable[Entry]) -> list[UsageRow]:
    """Enter changes, in one statement; the lines as they are then, locked until the transaction ends.

    Of an owner one entry at most. Always in the same order, so that two who post never wait for each other.
    """
    ordered = sorted(entries)
    if not ordered:
        return []
    values = [entry._asdict() for entry in ordered]
    if tx.takes_lists:
        posted = await tx.frequent(_POSTED, {"quotas": written(values)})
    else:
        posted = await tx.all(_adding(sqlite.insert(Quota).values(values)))
    return [UsageRow._make(row) for row in posted]


async def set_limit(tx: Transaction, owner_id: UUID, kind: QuotaKind, limit: int | None) -> None:
    """Give a line a limit in bytes: 0 is none, None the default."""
    insert = tx.inserting(Quota).values(Quota(owner_id=owner_id, kind=kind, quota_limit=limit).model_dump())
    await tx.execute(insert.on_conflict_do_update(index_elements=["owner_id"], set_={"quota_limit": limit}))


async def forget(tx: Transaction, owner_id: UUID) -> None:
    """Remove the line of a workspace or user that is gone."""
    await tx.execute(delete(Quota).where(col(Quota.owner_id) == owner_id))


async def lock(tx: Transaction, owner_ids: Sequence[UUID]) -> None:
    """Have nobody enter anything on these lines before this transaction ends."""
    lines = select(col(Quota.owner_id)).where(col(Quota.owner_id).in_(owner_ids))
    await tx.all(lines.order_by(col(Quota.owner_id)).with_for_update())


async def differences(rows: Rows, owner_ids: Sequence[UUID] | None = None) -> list[Entry]:
    """What has to be entered so that lines agree with the versions, files and uploads that they sum up.

    Nothing, if all is well. Of all owners, or of these. One statement, and so as of one moment.
    """
    ledger = select(
        col(Quota.owner_id).label("owner_id"),
        col(Quota.kind).label("kind"),
        *((-getattr(Quota, name)).label(name) for name in _SUMS),
    )
    lines = union_all(*_counted(), ledger).subquery()
    sums = [cast(func.sum(lines.c[name]), BigInteger).label(name) for name in _SUMS]
    statement: Selection = select(lines.c.owner_id, lines.c.kind, *sums).where(lines.c.owner_id.is_not(None))
    if owner_ids is not None:
        statement = statement.where(lines.c.owner_id.in_(owner_ids))
    grouped: Selection = statement.group_by(lines.c.owner_id, lines.c.kind).having(or_(*(total != 0 for total in sums)))
    found = await rows.all(grouped)
    return [Entry(row.owner_id, QuotaKind(row.kind), row.used, row.reserved, row.files) for row in found]


def _counted() -> list[Selection]:
    in_file = col(File.id) == col(Version.file_id)
    used, reserved = func.sum(col(Version.size)), func.sum(col(Upload.reserved))
    workspace, user = QuotaKind.WORKSPACE, QuotaKind.USER
    return [
        _totals(col(File.workspace_id), workspace, used=used).join(Version, in_file),
        _totals(col(File.workspace_id), workspace, files=func.count()),
        _totals(col(Upload.workspace_id), workspace, reserved=reserved),
        _totals(col(Version.created_by_id), user, used=used),
        _totals(col(File.uploaded_by_id), user, files=func.count()),
        _totals(col(Upload.created_by_id), user, reserved=reserved),
    ]


def _totals(owner: Mapped[UUID] | Mapped[UUID | None], kind: QuotaKind, **totals: ColumnElement[int]) -> Selection:
    sums = [cast(totals.get(name, literal(0)), BigInteger).label(name) for name in _SUMS]
    return select(owner.label("owner_id"), literal(kind.value).label("kind"), *sums).group_by(owner)
