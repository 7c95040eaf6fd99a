"""The refusals that uploads meet which take several requests, and those of the ledger. See `domain.errors`."""

from dataclasses import dataclass

from domain.errors import Kind, Refusal


@dataclass(eq=False, kw_only=True)
class TooManyUploads(Refusal):
    """As many uploads as one may have at a time are under way."""

    code = "TOO_MANY_UPLOADS"
    kind = Kind.CONFLICT
    maximum: int


@dataclass(eq=False, kw_only=True)
class UploadEnded(Refusal):
    """The upload takes no more: it is committed, rejected, expired or aborted, or is being verified."""

    code = "UPLOAD_ENDED"
    kind = Kind.CONFLICT
    state: str


@dataclass(eq=False, kw_only=True)
class UploadIncomplete(Refusal):
    """Bytes are missing; `received` of `size` have come."""

    code = "UPLOAD_INCOMPLETE"
    kind = Kind.CONFLICT
    received: int
    size: int


@dataclass(eq=False, kw_only=True)
class UploadTooLong(Refusal):
    """More bytes came, or were about to, than the upload was announced with: its `size`."""

    code = "UPLOAD_TOO_LONG"
    kind = Kind.TOO_LARGE
    size: int


@dataclass(eq=False, kw_only=True)
class OffsetMismatch(Refusal):
    """The bytes do not begin where those before them end: at `received`."""

    code = "OFFSET_MISMATCH"
    kind = Kind.CONFLICT
    received: int


@dataclass(eq=False, kw_only=True)
class UploadBusy(Refusal):
    """Another request is sending bytes of this upload."""

    code = "UPLOAD_BUSY"
    kind = Kind.CONFLICT
    message: str = "Another request is sending bytes of this upload."


@dataclass(eq=False, kw_only=True)
class TargetUsed(Refusal):
    """What this URL was for has come already."""

    code = "TARGET_USED"
    kind = Kind.CONFLICT
    message: str = "The bytes that this URL was for have come already."


@dataclass(eq=False, kw_only=True)
class QuotaExceeded(Refusal):
    """So many bytes more would pass the limit of the workspace or of the user: `scope` says which. All in bytes."""

    code = "QUOTA_EXCEEDED"
    kind = Kind.TOO_LARGE
    scope: str
    limit: int
    used: int
    reserved: int
    requested: int
