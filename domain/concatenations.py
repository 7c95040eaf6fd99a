"""Uploads made of other uploads: pieces that came side by side, joined into one file (tus calls it concatenation)."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from db import uploads
from db.engine import Transaction
from db.models import UploadState
from db.rows import UploadRow
from domain.access import held_workspace
from domain.backends import Backends
from domain.completions import complete_upload
from domain.errors import InvalidInput
from domain.events import RequestFacts
from domain.ledger import Change
from domain.pieces import note_reach, reach_of
from domain.upload_ends import end_upload, remove_bytes
from domain.upload_errors import UploadIncomplete
from domain.upload_sessions import NewUpload, admit_upload, create_upload, has_ended, writable_upload
from domain.uploads import unavailable
from domain.viewer import Viewer
from storage.store import StoreError


async def concatenate(
    backends: Backends, viewer: Viewer, new: NewUpload, piece_ids: Sequence[UUID], facts: RequestFacts
) -> UploadRow:
    """Make an upload of others, in this order, and a file of it. They must have come whole, and end with it.

    Raises what creating and completing an upload raise, and UploadIncomplete.
    """
    async with backends.db.reading() as rows:
        found = [await writable_upload(rows, viewer, piece_id) for piece_id in piece_ids]
    pieces = [await _as_far_as_it_came(backends, piece) for piece in found]
    for piece in pieces:
        _require_whole(piece)
    new = replace(new, size=sum(piece.received for piece in pieces))
    # What the pieces hold back is given to what they become: there is room for it once, perhaps not twice.
    fitting = await admit_upload(backends.db, backends.ports, viewer, replace(new, size=0))
    async with backends.db.transaction() as tx:
        await held_workspace(tx, viewer, fitting.workspace_id)
        new = replace(new, given_back=await _give_back(tx, pieces))
        made = await create_upload(tx, backends.ports, viewer, (new, fitting), facts)
    try:
        reach = await backends.store.join(made.blob_key, [piece.blob_key for piece in pieces])
    except StoreError as error:
        raise unavailable(error) from error
    joined = await note_reach(backends, made, reach)
    completed = await complete_upload(backends, viewer, joined, facts)
    if completed.state in {UploadState.COMMITTED, UploadState.VERIFYING}:
        await _end(backends, pieces, facts)
    return completed


async def _as_far_as_it_came(backends: Backends, piece: UploadRow) -> UploadRow:
    # A process that died after the last byte noted it nowhere, but whoever asks how far the piece came is told.
    if not piece.is_partial or piece.state not in uploads.GROWING or piece.received == piece.size:
        return piece
    return piece._replace(received=await reach_of(backends, piece))


def _require_whole(piece: UploadRow) -> None:
    if not piece.is_partial:
        raise InvalidInput(message="Only uploads that were announced as partial can be joined.")
    if piece.state not in uploads.GROWING:
        raise has_ended(piece)
    if piece.size is None or piece.received < piece.size:
        sentence = f"{piece.received} of {piece.size} bytes of a partial upload have come."
        raise UploadIncomplete(message=sentence, received=piece.received, size=piece.size or 0)


async def _give_back(tx: Transaction, pieces: Sequence[UploadRow]) -> list[Change]:
    given_back = []
    for piece_id in sorted(piece.id for piece in pieces):
        locked = await uploads.lock(tx, piece_id)
        if locked is not None and await uploads.change(tx, piece_id, uploads.GROWING, {"reserved": 0}):
            given_back.append(Change(locked.workspace_id, locked.created_by_id, reserved=-locked.reserved))
    return given_back


async def _end(backends: Backends, pieces: Sequence[UploadRow], facts: RequestFacts) -> None:
    for piece in pieces:
        async with backends.db.transaction() as tx:
            locked = await uploads.lock(tx, piece.id)
            if locked is None or locked.state not in uploads.LIVE:
                continue
            ended = await end_upload(tx, backends.ports, locked, (UploadState.COMMITTED, None), facts)
        await remove_bytes(backends.db, backends.store, ended)
