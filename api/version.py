"""Which version of the service this is."""

from typing import Final

VERSION: Final = "0.1.0"
