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
        raise told(error.errno, str(error)) from error


def told(number: int | None, text: str) -> StoreError:
    """What the number and text of an OSError are in these words."""
    return (StoreFull if number in _NO_ROOM else StoreError)(text)
