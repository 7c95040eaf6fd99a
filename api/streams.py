"""How many connections with answers that go on somebody has open in this process."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
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

    @contextmanager
    def open(self, viewer: Viewer, address: str | None) -> Iterator[None]:
        """Count one more until the block ends. Raises TooManyStreams."""
        key: Hashable = viewer.user_id or address
        if self._open[key] >= self.maximum:
            sentence = f"You have {self.maximum} streams open, which is as many as one may have."
            raise TooManyStreams(message=sentence, maximum=self.maximum)
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
