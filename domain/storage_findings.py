"""What a comparison of records and bytes can find, and how far one has come."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from db.rows import StorageCheckRow

MAXIMUM_KEPT = 100


class FindingKind(StrEnum):
    """What is found."""

    MISSING = "MISSING"
    SIZE_MISMATCH = "SIZE_MISMATCH"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    UNREADABLE = "UNREADABLE"
    ORPHANED = "ORPHANED"
    STRAY = "STRAY"
    UNPURGED = "UNPURGED"
    STALE_UPLOAD = "STALE_UPLOAD"
    LEDGER_DIFFERENCE = "LEDGER_DIFFERENCE"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, confirmed. `detail` is a sentence for a person.

    `subject` is the key of a blob, or the id of an upload, a workspace or a user in hex; `size` is in bytes.
    """

    kind: FindingKind
    subject: str
    detail: str
    size: int | None = None
    is_repaired: bool = False


@dataclass(slots=True)
class Progress:
    """How far a check has come: in which stage, up to which key, and what it has seen and found.

    `counts` has, by the kind of finding, how many there were, and how many of them were repaired.
    """

    stage: int = 0
    position: str = ""
    blobs_seen: int = 0
    blobs_total: int = 0
    bytes_hashed: int = 0
    counts: dict[str, list[int]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, row: StorageCheckRow) -> "Progress":
        """The progress that was kept last."""
        counts = {kind: list(pair) for kind, pair in row.counts.items()}
        kept = (row.stage, row.position, row.blobs_seen, row.blobs_total, row.bytes_hashed)
        return cls(*kept, counts, list(row.findings))

    @property
    def kept(self) -> dict[str, Any]:
        """What is to be kept, as plain values."""
        return asdict(self)

    @property
    def left(self) -> int:
        """How many findings were not repaired."""
        return sum(found - repaired for found, repaired in self.counts.values())

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it if it is one of the first."""
        found, repaired = self.counts.get(finding.kind, (0, 0))
        self.counts[finding.kind] = [found + 1, repaired + finding.is_repaired]
        if len(self.findings) < MAXIMUM_KEPT:
            self.findings.append(asdict(finding))
