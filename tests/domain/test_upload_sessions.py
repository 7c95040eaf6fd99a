"""Uploads that are announced, and what may change between the question and the announcement."""

import pytest

from db import members
from db.models import WorkspaceRole
from domain.backends import Backends
from domain.errors import Forbidden, NotFound, Refusal
from domain.pieces import Piece
from domain.upload_sessions import NewUpload, admit_upload, create_upload
from domain.uploads import UploadIntent
from tests.domain.receiving import announced, changed, is_exact
from tests.scenes import FACTS, Scene


@pytest.mark.parametrize(("loss", "refusal"), [("removed", NotFound), ("demoted", Forbidden)])
async def test_a_right_that_is_lost_before_an_upload_is_announced_announces_none(
    scene: Scene, backends: Backends, loss: str, refusal: type[Refusal]
) -> None:
    viewer, user_id = scene.viewer("editor"), scene.id("editor")
    new = NewUpload(UploadIntent(name="a.txt", workspace_id=scene.workspace_id), size=11)
    admission = await admit_upload(scene.db, backends.ports, viewer, new)
    async with scene.db.transaction() as tx:
        if loss == "removed":
            await members.remove(tx, scene.workspace_id, user_id)
        else:
            await members.set_role(tx, scene.workspace_id, user_id, WorkspaceRole.VIEWER)
    with pytest.raises(refusal):
        async with scene.db.transaction() as tx:
            await create_upload(tx, backends.ports, viewer, (new, admission), FACTS)
    assert await scene.events() == []
    assert await is_exact(scene.db)


async def test_an_upload_tells_the_role_of_who_announces_it(scene: Scene, backends: Backends) -> None:
    for name, role in (("owner", WorkspaceRole.OWNER), ("editor", WorkspaceRole.EDITOR)):
        assert (await announced(backends, scene, by=name)).viewer_role == role


async def test_what_comes_of_somebody_who_is_gone_is_entered_for_nobody(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene, None)
    await changed(scene.db, upload, created_by_id=None)
    reception = await Piece(backends, upload, 0, None).open()
    await reception.write(b"hello")
    await reception.end()
    assert await is_exact(scene.db)
