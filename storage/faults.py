"""What the operating system reports, in the words of a store."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from storage.store import StoreError, StoreFull

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def translated() -> Iterator[None]:
    """Turn an OSError into StoreFull where a disk or quota is full, else into StoreError, with the cause chained."""
    try:
        yield
    except OSError as error:
        kind = StoreFull if error.errno in _NO_ROOM else StoreError
        raise kind(str(error)) from error
