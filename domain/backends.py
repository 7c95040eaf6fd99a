"""What work with bytes and rows alike is done with, in transactions of its own."""

from dataclasses import dataclass

from db.engine import Database
from domain.ports import Ports
from storage.store import ResumableStore


@dataclass(frozen=True, slots=True)
class Backends:
    """The records, the bytes, and what the rules need besides."""

    db: Database
    store: ResumableStore
    ports: Ports
