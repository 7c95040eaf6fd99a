"""Signed URLs of uploads, and their end."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from db.models import UploadTransport
from domain.backends import Backends
from domain.errors import BadCredential, ExpiredCredential
from domain.upload_targets import SignedTarget, judge_target, put_target
from tests.domain.receiving import announced
from tests.scenes import Scene


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_signed_url_ends_with_its_time(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene, 11, UploadTransport.SINGLE_PUT)
    said = {name: value for name, [value] in parse_qs(urlsplit(put_target(backends.ports, upload).url).query).items()}
    target = SignedTarget(upload.id, None, int(said["expires"]), said["signature"])
    judge_target(backends.ports, target)
    with pytest.raises(BadCredential):
        judge_target(backends.ports, SignedTarget(upload.id, 1, target.expires, target.signature))
    scene.clock.forward(seconds=timedelta(days=1).total_seconds())
    with pytest.raises(ExpiredCredential):
        judge_target(backends.ports, target)
