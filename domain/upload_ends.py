"""The ends of uploads that become no file of their own: aborted, expired, rejected, or joined into another.

What was held back for them is given back.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

from db import blobs, uploads
from db.engine import Database, Transaction
from db.models import UploadState, UploadTransport
from db.rows import UploadRow
from domain import ledger, topics
from domain.blobs import remove
from domain.errors import Refusal
from domain.events import EventKind, RequestFacts, Subject, event
from domain.ledger import Change
from domain.ports import Ports
from storage.store import BlobStore

_KINDS = {
    UploadState.ABORTED: EventKind.UPLOAD_ABORTED,
    UploadState.EXPIRED: EventKind.UPLOAD_EXPIRED,
    UploadState.REJECTED: EventKind.UPLOAD_REJECTED,
}


async def end_upload(
    tx: Transaction,
    ports: Ports,
    upload: UploadRow,
    end: tuple[UploadState, Refusal | None],
    facts: RequestFacts,
) -> UploadRow:
    """End an upload that is locked and has not ended. Its bytes are marked here, to be removed by `remove_bytes`.

    The last act of a transaction.
    """
    ended, given_back = await close_upload(tx, ports, upload, end, facts)
    await ledger.post(tx, ports.workspace_policy, [given_back])
    return ended


async def close_upload(
    tx: Transaction,
    ports: Ports,
    upload: UploadRow,
    end: tuple[UploadState, Refusal | None],
    facts: RequestFacts,
) -> tuple[UploadRow, Change]:
    """The same where several end in one transaction: the caller enters what is given back, as its last act."""
    (state, refusal), now = end, ports.clock.now()
    changed: dict[str, Any] = {
        "state": state,
        "reserved": 0,
        "refusal": refusal and written(refusal),
        "updated_at": now,
    }
    await uploads.change(tx, upload.id, uploads.LIVE, changed)
    topics.tell_upload(tx, upload.id)
    if upload.transport != UploadTransport.MULTIPART:  # that finds out by itself, as it notes how far it is
        tx.tell(topics.of_senders(upload.id))
    # One of a GraphQL request is counted by the request, which may have none of these rows, unless that is gone.
    if state == UploadState.EXPIRED or (state in _KINDS and upload.transport != UploadTransport.MULTIPART):
        tx.afterwards(partial(ports.meter.upload_ended, upload.transport, state))
    await blobs.fence(tx, [upload.blob_key], ports.store_name, now, now)
    data = {"code": refusal.code} if refusal else None
    subject = Subject(upload.created_by_id, upload.workspace_id, upload.id, upload.received, data)
    if state in _KINDS:
        await tx.add(event(_KINDS[state], subject, facts, now))
    given_back = Change(upload.workspace_id, upload.created_by_id, reserved=-upload.reserved)
    return upload._replace(**changed), given_back


async def remove_bytes(db: Database, store: BlobStore, upload: UploadRow) -> None:
    """Remove what came of an upload that has ended without a file."""
    await remove(db, store, [upload.blob_key])


def written(refusal: Refusal) -> dict[str, Any]:
    """A refusal as it is kept with what was refused."""
    details = {field.name: getattr(refusal, field.name) for field in fields(refusal)}
    return {"type": type(refusal).__name__, **details}


def read(kept: dict[str, Any]) -> Refusal:
    """The refusal that `written` kept."""
    details = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    kinds = {kind.__name__: kind for kind in Refusal.__subclasses__()}
    make: Callable[..., Refusal] = kinds[str(details.pop("type"))]
    return make(**details)
