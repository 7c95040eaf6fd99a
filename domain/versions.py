"""Versions of files: found and listed, always for a viewer. They are made in `domain.new_versions`."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from db import versions
from db.engine import Rows
from db.questions import Page, Window
from db.rows import VersionRow
from domain.scopes import Scope
from domain.viewer import Viewer


async def by_ids(rows: Rows, viewer: Viewer, version_ids: Sequence[UUID]) -> list[VersionRow]:
    """Those of the versions whose files the viewer may see, in no particular order; none for nobody.

    Raises ScopeMissing.
    """
    user_id = viewer.known(Scope.FILES_READ)
    return await versions.by_ids(rows, user_id, version_ids) if user_id else []


async def pages(
    rows: Rows, viewer: Viewer, file_ids: Sequence[UUID], window: Window
) -> Mapping[UUID, Page[VersionRow]]:
    """For each file that the viewer may see a window of its versions, the newest first.

    Raises NotSignedIn and ScopeMissing.
    """
    return await versions.pages(rows, viewer.required(Scope.FILES_READ), file_ids, window)


async def counts(rows: Rows, viewer: Viewer, file_ids: Sequence[UUID], _: None) -> Mapping[UUID, int]:
    """For each file how many versions `pages` has. Raises NotSignedIn and ScopeMissing."""
    return await versions.counts(rows, viewer.required(Scope.FILES_READ), file_ids)
