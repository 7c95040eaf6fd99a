"""How many connections with answers that go on somebody has open in this process."""

from collections import Counter
from collections.abc import Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from domain.stream_errors import TooManyStreams
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Streams:
    """Counts event streams and WebSockets: `maximum` for each user, and for each address that nobody signed in from."""

    maximum: int
    _open: Counter[Hashable] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many are open, whoever they are for."""
        return self._open.total()

    def open(self, viewer: Viewer, address: str | None) -> AbstractContextManager[None]:
        """Count one more until the block ends. Raises TooManyStreams."""
        key: Hashable = viewer.user_id or address
        if self._open[key] >= self.maximum:
            sentence = f"You have {self.maximum} streams open, which is as many as one may have."
            raise TooManyStreams(message=sentence, maximum=self.maximum)
        return _Open(self._open, key)


@dataclass(frozen=True, slots=True)
class _Open:
    """A block that counts. Small: there are thousands of them."""

    counter: Counter[Hashable]
    key: Hashable

    def __enter__(self) -> None:
        self.counter[self.key] += 1

    def __exit__(self, *_: object) -> None:
        self.counter[self.key] -= 1
        if not self.counter[self.key]:
            del self.counter[self.key]
