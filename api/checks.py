"""Comparing records and bytes from the command line: every finding is a line, and the last one sums up."""

from collections.abc import Callable

from api.parts import parts_of
from api.settings import Settings
from domain.storage_checks import CheckTerms, check_storage
from domain.storage_findings import Finding, Progress


class Printing:
    """Tells a person what is found."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    async def tell(self, finding: Finding) -> None:
        """One line."""
        size = "" if finding.size is None else f"  {finding.size} bytes"
        end = "  repaired" if finding.is_repaired else ""
        self._tell(f"{finding.kind}  {finding.subject}{size}  {finding.detail}{end}")

    async def keep(self, progress: Progress) -> None:
        """Whoever stops it begins anew."""


async def check(settings: Settings, *, repair: bool, digests: bool, tell: Callable[[str], None]) -> bool:
    """Compare, beside a service that runs or without one; whether all is well now.

    Raises NotMigrated and StoreError.
    """
    parts = parts_of(settings)
    try:
        await parts.db.check()
        await parts.store.open()
        progress, terms = Progress(), CheckTerms(repair, digests, parts.storage_policy.orphan_grace)
        await check_storage(parts.backends, terms, progress, Printing(tell))
        tell(_summary(progress))
        return progress.left == 0
    finally:
        await parts.store.close()
        parts.hasher.close()
        await parts.db.close()


def _summary(progress: Progress) -> str:
    read = f", {progress.bytes_hashed} bytes read" if progress.bytes_hashed else ""
    found = sum(count for count, _ in progress.counts.values())
    if not found:
        return f"Records and bytes agree: {progress.blobs_seen} blobs compared{read}."
    return f"{progress.blobs_seen} blobs compared{read}: {found} findings, {found - progress.left} of them repaired."
