"""How much is held, and how much may be: by a workspace, or by what a user brought."""

import strawberry

from db.models import QuotaKind
from db.rows import UsageRow
from domain.ledger import limit_of
from schema.context import Context
from schema.scalars import ByteCount


@strawberry.type(description="How much is held, and how much may be. Exact at any moment.")
class Usage:
    """A line of the ledger: see `domain.ledger`."""

    files: int = strawberry.field(description="How many files there are.")
    used: ByteCount = strawberry.field(description="The bytes of all versions.")
    reserved: ByteCount = strawberry.field(description="The bytes that are kept for uploads under way.")
    limit: ByteCount | None = strawberry.field(
        description="The bytes that may be used and reserved together; null for no limit."
    )


def usage_of(line: UsageRow, kind: QuotaKind, context: Context) -> Usage:
    """The usage of a line."""
    limit = limit_of(context.ports.workspace_policy, kind, line.quota_limit)
    return Usage(
        files=line.files,
        used=ByteCount(line.used),
        reserved=ByteCount(line.reserved),
        limit=None if limit is None else ByteCount(limit),
    )
