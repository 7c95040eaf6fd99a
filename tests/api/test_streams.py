from uuid import uuid4

import pytest

from api.streams import Streams
from db.models import UserRole
from domain.stream_errors import TooManyStreams
from domain.viewer import NOBODY, Viewer


def test_each_user_has_streams_of_their_own_and_so_has_each_address_of_nobody() -> None:
    streams = Streams(1)
    ada, bob = Viewer(uuid4(), UserRole.USER), Viewer(uuid4(), UserRole.USER)
    with (
        streams.open(ada, "192.0.2.1"),
        streams.open(bob, "192.0.2.1"),
        streams.open(NOBODY, "192.0.2.1"),
        streams.open(NOBODY, "192.0.2.2"),
    ):
        assert streams.count == 4
        for viewer, address in ((ada, "192.0.2.3"), (NOBODY, "192.0.2.1")):
            with pytest.raises(TooManyStreams) as caught, streams.open(viewer, address):
                pass
            assert caught.value.maximum == 1
        assert streams.count == 4
    assert streams.count == 0


def test_a_stream_that_fails_is_not_counted_any_more() -> None:
    streams = Streams(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), streams.open(NOBODY, None):
            raise ValueError("broken")
    assert streams.count == 0
    assert not streams._open
