"""Downloads by an API key: one select finds the content and the key, and both are judged then."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from db import downloads
from db.downloads import KeyedContentRow
from db.engine import Database, Rows
from domain.downloads import Download
from domain.key_holders import KeyHolder, holder_of, judged
from domain.key_secrets import hash_of
from domain.ports import Clock
from domain.scopes import Scope


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A file's current content, or a version of it, wanted by a secret of a key from an address."""

    secret: str
    address: str | None
    file_id: UUID
    version_id: UUID | None


class KeyWanted(NamedTuple):
    """What is asked of the database: the content, and the hash of the secret."""

    secret_hash: str
    file_id: UUID
    version_id: UUID | None


@dataclass(frozen=True, slots=True)
class KeyDownload:
    """Who asks, and the content; None when it is absent, not ready or not the key's owner's to see."""

    holder: KeyHolder
    download: Download | None


async def open_by_key(db: Database, clock: Clock, request: KeyRequest) -> KeyDownload:
    """Open a content for who asks by a key. Only where nothing is found, a second select asks what the key is.

    Raises BadCredential and ScopeMissing, whether the file is there or not.
    """
    secret_hash = hash_of(request.secret)
    wanted = secret_hash and KeyWanted(secret_hash, request.file_id, request.version_id)
    found = await db.ask(open_all_by_keys, wanted) if wanted else None
    if found is None:
        holder, download = await holder_of(db, clock, request.secret, request.address), None
    else:
        holder = judged(found.key, clock.now(), request.address)
        download = Download.of(found.content, is_pinned=request.version_id is not None)
    holder.viewer.required(Scope.FILES_READ)
    return KeyDownload(holder, download)


async def open_all_by_keys(rows: Rows, wanted: Collection[KeyWanted]) -> dict[KeyWanted, KeyedContentRow]:
    """Contents for the secrets that they are wanted by, with one select for each way to ask however many.

    That the key is not revoked, its user not disabled and the file the user's to read is part of the select; whether
    the key is good in all else is told, not judged.
    """
    named = [want for want in wanted if want.version_id]
    current = [want for want in wanted if not want.version_id]
    opened: dict[KeyWanted, KeyedContentRow] = {}
    if current:
        files = list({want.file_id for want in current})
        for row in await downloads.current_contents_by_keys(rows, _secrets(current), files):
            opened[KeyWanted(row.secret_hash, row.content.file_id, None)] = row
    if named:
        versions = list({want.version_id for want in named if want.version_id})
        for row in await downloads.named_contents_by_keys(rows, _secrets(named), versions):
            opened[KeyWanted(row.secret_hash, row.content.file_id, row.content.version_id)] = row
    return opened


def _secrets(wanted: Collection[KeyWanted]) -> list[str]:
    return list({want.secret_hash for want in wanted})
