"""A plugin of coverage.py, which keeps it out of the greenlets that SQLAlchemy runs a driver's calls in.

Coverage follows calls and returns by a stack, which a change of greenlets mixes up. Its own way of keeping one for each
greenlet asks at every line which one this is, and that cost more than the tests themselves. In those greenlets runs
next to nothing of ours (hooks of connections in `db`, which are not measured then), so it stops there instead.
"""

import sys
from dataclasses import dataclass
from typing import Any

import greenlet
from coverage.plugin_support import Plugins


@dataclass(slots=True)
class Tracing:
    """The trace function of one thread, which runs in its main greenlet alone."""

    held: Any = None

    def switched(self, _event: str, greenlets: tuple[greenlet.greenlet, greenlet.greenlet]) -> None:
        """Hold it, or let it go on, after a change from one greenlet to another."""
        origin, target = greenlets
        if target.parent is None:
            sys.settrace(self.held)
        elif origin.parent is None:
            self.held = sys.gettrace()
            sys.settrace(None)


def coverage_init(_plugins: Plugins, _options: dict[str, Any]) -> None:
    """What coverage calls in each process that it measures, in the thread that it begins in."""
    greenlet.settrace(Tracing().switched)
