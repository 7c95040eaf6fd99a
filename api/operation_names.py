"""The names under which operations are counted: few enough, and chosen by those who are signed in."""

import re
from typing import Final

MAXIMUM_NAMES: Final = 100
MAXIMUM_CHARACTERS: Final = 60
OTHER: Final = "other"
UNNAMED: Final = "unnamed"

# A name with long numbers in it is made by a program, perhaps of an id.
_SPOKEN: Final = re.compile(r"[A-Za-z_]+(?:[0-9]{1,3}[A-Za-z_]+)*[0-9]{0,3}", re.ASCII)


class OperationNames:
    """The first hundred names that are told; all others count as one. They last as long as the process."""

    def __init__(self, maximum: int = MAXIMUM_NAMES) -> None:
        self._maximum = maximum
        self._known: set[str] = set()

    def label(self, name: str | None, *, is_signed_in: bool) -> str:
        """What an operation of this name counts as. Who is not signed in makes no name known."""
        if name is None:
            return UNNAMED
        if name in self._known:
            return name
        is_spoken = len(name) <= MAXIMUM_CHARACTERS and _SPOKEN.fullmatch(name) is not None
        if not is_signed_in or not is_spoken or len(self._known) >= self._maximum:
            return OTHER
        self._known.add(name)
        return name
