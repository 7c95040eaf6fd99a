"""In whose name an export is made, and what may be in it: asked anew each time, since rights come and go."""

from datetime import datetime

from db import api_keys, users
from db.engine import Rows
from db.models import UserRole
from db.rows import AnalyticsExportRow
from domain import analytics
from domain.access import no_such_workspace
from domain.analytics import Asked, Question
from domain.analytics_deltas import day_of
from domain.errors import Forbidden
from domain.scopes import Scope
from domain.viewer import Viewer


async def asker_of(rows: Rows, export: AnalyticsExportRow, now: datetime) -> Viewer:
    """Who asked for an export, with the rights of now, and with none that was not used when it was asked for.

    Raises Forbidden.
    """
    user = next(iter(await users.by_ids(rows, [export.user_id])), None)
    if user is None or user.disabled_at is not None:
        raise Forbidden(message="The account is disabled.")
    # Whoever became an administrator meanwhile did not ask for everything.
    role = UserRole(user.role) if export.is_administrator else UserRole.USER
    scopes = await _scopes_of(rows, export, now)
    viewer = Viewer(user.id, role, api_key_id=export.api_key_id, scopes=scopes)
    if export.is_administrator and not viewer.is_admin:
        raise Forbidden(message="An administrator asked for the export, and is none any more.")
    return viewer


async def question_of(rows: Rows, viewer: Viewer, export: AnalyticsExportRow) -> Question:
    """What the viewer may know now of what was asked. Raises ScopeMissing and NotFound."""
    asked = Asked(export.since, export.until, export.workspace_id)
    question = await analytics.judge(rows, viewer, asked, day_of(export.created_at))
    if question is None:
        raise no_such_workspace()
    return question


async def _scopes_of(rows: Rows, export: AnalyticsExportRow, now: datetime) -> frozenset[Scope] | None:
    if export.api_key_id is None:
        return None
    key = await api_keys.own(rows, export.user_id, export.api_key_id)
    if key is None or (key.expires_at is not None and key.expires_at <= now):
        raise Forbidden(message="The API key that asked for the export has ended.")
    return frozenset(scope for scope in Scope if scope in key.scopes)
