"""In whose name exports are made: with the rights of now, and with no more than were used when they were asked for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, update
from sqlmodel import col

from db.engine import Transaction
from db.models import ApiKey, ExportState, Member, User, UserRole
from domain.analytics import Asked
from domain.backends import Backends
from domain.scopes import Scope
from domain.upload_ends import read
from domain.viewer import Viewer
from tests.domain.exporting import USERS, content_of, made, requested
from tests.records import NOW
from tests.scenes import Scene


async def key_of(scene: Scene, name: str, *scopes: Scope) -> UUID:
    key = ApiKey(user_id=scene.id(name), name="a", token_prefix="a", scopes=[*scopes], addresses=[], created_at=NOW)
    async with scene.db.transaction() as tx:
        await tx.add(key)
    return key.id


async def change_user(tx: Transaction, user_id: UUID, **values: object) -> None:
    await tx.execute(update(User).where(col(User.id) == user_id).values(**values))


async def change_key(scene: Scene, key_id: UUID, **values: object) -> None:
    async with scene.db.transaction() as tx:
        await tx.execute(update(ApiKey).where(col(ApiKey.id) == key_id).values(**values))


async def refusal_of(backends: Backends, scene: Scene, export: Any) -> Any:
    failed = await made(backends, scene, export)
    assert (failed.state, failed.file_id) == (ExportState.FAILED, None)
    return read(failed.refusal or {})


async def test_who_is_a_member_no_more_is_told_of_nothing(scene: Scene, backends: Backends) -> None:
    export = await requested(scene, new=replace(USERS, asked=Asked(workspace_id=scene.workspace_id)))
    async with scene.db.transaction() as tx:
        await tx.execute(delete(Member).where(col(Member.user_id) == scene.id("owner")))
    assert (await refusal_of(backends, scene, export)).code == "NOT_FOUND"


async def test_who_was_disabled_gets_no_file(scene: Scene, backends: Backends) -> None:
    export = await requested(scene)
    async with scene.db.transaction() as tx:
        await change_user(tx, scene.id("owner"), disabled_at=NOW)
    refusal = await refusal_of(backends, scene, export)
    assert (refusal.code, refusal.message) == ("FORBIDDEN", "The account is disabled.")


async def test_who_is_no_administrator_any_more_gets_no_file_of_everybody(scene: Scene, backends: Backends) -> None:
    export = await requested(scene, "administrator")
    async with scene.db.transaction() as tx:
        await change_user(tx, scene.id("administrator"), role=UserRole.USER)
    assert (await refusal_of(backends, scene, export)).code == "FORBIDDEN"


async def test_who_became_an_administrator_meanwhile_gets_what_was_asked_for(scene: Scene, backends: Backends) -> None:
    export = await requested(scene)
    async with scene.db.transaction() as tx:
        await change_user(tx, scene.id("owner"), role=UserRole.ADMIN)
    done = await made(backends, scene, export)
    content = await content_of(backends, scene, done)
    assert "editor" in content
    assert "stranger" not in content


@pytest.mark.parametrize(
    "values",
    [
        {"revoked_at": NOW},
        {"expires_at": NOW},
        {"scopes": [Scope.FILES_WRITE]},
        {"scopes": [Scope.ANALYTICS_READ]},
    ],
)
async def test_a_key_that_may_no_more_gets_no_file(scene: Scene, backends: Backends, values: dict[str, object]) -> None:
    scopes = (Scope.ANALYTICS_READ, Scope.FILES_WRITE)
    key_id = await key_of(scene, "owner", *scopes)
    asker = Viewer(scene.id("owner"), api_key_id=key_id, scopes=frozenset(scopes))
    first, second = await requested(scene, asker), await requested(scene, asker)
    await change_key(scene, key_id, expires_at=NOW + timedelta(days=1))
    assert (await made(backends, scene, first)).state == ExportState.DONE
    await change_key(scene, key_id, **values)
    assert (await refusal_of(backends, scene, second)).code == "FORBIDDEN"


async def test_a_key_of_an_administrator_asks_for_everything_only_with_its_scope(
    scene: Scene, backends: Backends
) -> None:
    lesser, whole = (Scope.ANALYTICS_READ, Scope.FILES_WRITE), tuple(Scope)
    for scopes, is_everything in ((lesser, False), (whole, True)):
        key_id = await key_of(scene, "administrator", *scopes)
        asker = Viewer(scene.id("administrator"), UserRole.ADMIN, api_key_id=key_id, scopes=frozenset(scopes))
        export = await requested(scene, asker)
        assert export.is_administrator == is_everything
        done = await made(backends, scene, export)
        assert ("stranger" in await content_of(backends, scene, done)) == is_everything
    export = await requested(scene, asker)
    await change_key(scene, key_id, scopes=[*lesser])
    assert (await refusal_of(backends, scene, export)).code == "FORBIDDEN"
