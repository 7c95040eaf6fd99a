"""How much a workspace holds and may hold, for everyone who may ask."""

from dataclasses import replace

from uuid_utils.compat import uuid7

from db.engine import Transaction
from db.rows import UsageRow
from domain import quotas
from domain.errors import NotFound
from domain.quotas import Quota
from domain.viewer import NOBODY, Viewer
from tests.domain.test_administration import ONLY_ADMINISTRATORS
from tests.records import Bytes, add_file, add_version
from tests.scenes import FACTS, Scene, Verb


def give(scene: Scene, quota: Quota) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await quotas.set_workspace_quota(tx, scene.ports, viewer, quota, FACTS)

    return verb


async def usage(scene: Scene, viewer: Viewer) -> list[UsageRow]:
    async with scene.db.reading() as rows:
        return await quotas.usages_by_ids(rows, viewer, [scene.workspace_id, uuid7()])


async def test_usage_counts_files_and_the_bytes_of_all_versions(scene: Scene) -> None:
    owner, place = scene.viewer("owner"), scene.workspace_id
    assert await usage(scene, owner) == [UsageRow(place, 0, 0, 0, None)]
    there = replace(scene.people["editor"], workspace_id=place)
    file_id, _ = await add_file(scene.db, there, Bytes(b"12345", "a" * 32))
    await add_version(scene.db, file_id, 2, Bytes(b"123", "b" * 32))
    await add_file(scene.db, there, Bytes(b"1", "c" * 32))
    await add_file(scene.db, scene.people["editor"], Bytes(b"12", "d" * 32))
    assert await usage(scene, owner) == [UsageRow(place, 2, 9, 0, None)]


async def test_usage_is_for_members_and_administrators(scene: Scene) -> None:
    for name in ("viewer", "editor", "owner", "administrator"):
        assert len(await usage(scene, scene.viewer(name))) == 1
    for viewer in (scene.viewer("stranger"), NOBODY):
        assert await usage(scene, viewer) == []


async def test_what_users_bring_has_a_limit_of_its_own(scene: Scene) -> None:
    ada = scene.id("owner")

    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await quotas.set_user_quota(tx, scene.ports, viewer, Quota(ada, 7), FACTS)

    assert await scene.outcomes(verb) == ONLY_ADMINISTRATORS
    for name, number in (("owner", 1), ("administrator", 1), ("editor", 0)):
        async with scene.db.reading() as rows:
            found = await quotas.user_usages_by_ids(rows, scene.viewer(name), [ada])
        assert [line.quota_limit for line in found] == [7] * number
    assert await scene.events() == [("user.quota_changed", scene.id("administrator"), None, ada)]


async def test_only_an_administrator_sets_a_quota(scene: Scene) -> None:
    place = scene.workspace_id
    assert await scene.outcomes(give(scene, Quota(place, 2**62))) == ONLY_ADMINISTRATORS
    assert (await usage(scene, scene.viewer("owner")))[0].quota_limit == 2**62
    assert await scene.events() == [("workspace.quota_changed", scene.id("administrator"), place, place)]
    assert await scene.outcomes(give(scene, Quota(place, None))) == ONLY_ADMINISTRATORS
    assert (await usage(scene, scene.viewer("owner")))[0].quota_limit is None
    assert isinstance(await scene.ask("administrator", give(scene, Quota(uuid7(), 1))), NotFound)
