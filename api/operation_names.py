"""The names under which operations are counted: few enough, and chosen by those who are signed in."""

import re
from typing import Final

MAXIMUM_NAMES: Final = 100
MAXIMUM_CHARACTERS: Final = 60
OTHER: Final = "other"
UNNAMED: Final = "unnamed"

# A name with long numbers in it is made by a program, perhaps of an id.
_SPOKEN: Final = re.compile(r"[A-Za-z_]+(?:[0-9]{1,3}[A-Za-z_]+)*[0-9]{0,3}", re.ASCII)
# So is one with eight hexadecimal digits in a row, unless they are letters alone: those may be words.
_HEXADECIMAL: Final = re.compile(r"(?=[0-9A-Fa-f]{8})[A-Fa-f]*[0-9]")


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
        if not is_signed_in or not _is_spoken(name) or len(self._known) >= self._maximum:
            return OTHER
        self._known.add(name)
        return name


def _is_spoken(name: str) -> bool:
    return len(name) <= MAXIMUM_CHARACTERS and bool(_SPOKEN.fullmatch(name)) and not _HEXADECIMAL.search(name)
