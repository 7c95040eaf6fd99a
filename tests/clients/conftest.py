"""One service for all clients: each has accounts of its own, and sees only their files."""

from collections.abc import Iterator

import pytest

from tests.live import Live, serving


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("served")) as service:
        yield service
