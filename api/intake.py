"""File parts into the store: each part to the uploads that `map` gives it, as far as the rules admit them."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

from api.envelope import EnvelopeBreach, MapInvalid
from api.multipart import MultipartReader
from api.part_heads import PartHead, shortened
from db.engine import Database
from domain.errors import Refusal
from domain.policy import UploadPolicy
from domain.ports import Ports
from domain.rates import Allowance
from domain.uploads import Destination, Part, Receiver, UploadIntent, admit_intent, admit_part
from domain.viewer import Viewer
from schema.uploads import UploadSlot
from storage.store import BlobStore, StoreError


class Delivery:
    """One upload on its way: refused, open for bytes, or received. Its slot learns the outcome."""

    def __init__(self, slot: UploadSlot) -> None:
        self.slot = slot
        self._intent = slot.intent or UploadIntent()
        self._destination: Destination | None = None
        self._allowance: Allowance | None = None
        self._receiver: Receiver | None = None

    @property
    def is_refused(self) -> bool:
        """Whether its bytes are of no use any more."""
        return isinstance(self.slot.outcome, Refusal)

    async def admit(self, db: Database, ports: Ports, viewer: Viewer) -> None:
        """Ask the rules what the operation alone decides."""
        try:
            self._destination = await admit_intent(db, ports, viewer, self._intent)
            self._allowance = Allowance(ports, viewer)
        except Refusal as refusal:
            self.slot.outcome = refusal

    async def begin(self, store: BlobStore, policy: UploadPolicy, part: Part) -> None:
        """Ask the rules what the part's head decides, and open a blob."""
        if self._destination is None or self._allowance is None:
            return
        try:
            admission = admit_part(policy, self._destination, self._intent, part)
            self._receiver = await Receiver.begin(store, admission, self._allowance)
        except Refusal as refusal:
            self.slot.outcome = refusal

    async def write(self, data: bytes) -> None:
        """Store the next bytes, or skip them once refused."""
        if self._receiver is None:
            return
        try:
            await self._receiver.write(data)
        except Refusal as refusal:
            self._receiver = None
            self.slot.outcome = refusal

    async def finish(self) -> None:
        """The part is complete."""
        if self._receiver is None:
            return
        try:
            self.slot.outcome = await self._receiver.finish()
        except Refusal as refusal:
            self.slot.outcome = refusal
        self._receiver = None

    async def abandon(self, store: BlobStore) -> None:
        """Remove what no resolver has taken."""
        # What a store cannot remove now is removed when its lease is over; the answer does not depend on it.
        with suppress(StoreError):
            if self._receiver is not None:
                await self._receiver.abandon()
            elif (received := self.slot.left_over) is not None:
                await store.delete(received.stored.key)


class Intake:
    """The deliveries of one request by the name of their part; one part may have several."""

    def __init__(self, deliveries: Iterable[Delivery], store: BlobStore, ports: Ports) -> None:
        self._store = store
        self._ports = ports
        self._by_part: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            self._by_part.setdefault(delivery.slot.part_name, []).append(delivery)
        self._begun: set[str] = set()
        self._awaited = dict.fromkeys(self._by_part)

    async def admit(self, db: Database, viewer: Viewer) -> None:
        """Ask the rules about every upload, before any byte of any file: about all in one statement."""
        await asyncio.gather(*(delivery.admit(db, self._ports, viewer) for delivery in self._deliveries()))

    async def receive(self, reader: MultipartReader, files_end: int | None) -> None:
        """Store the parts in whatever order they come, up to the final boundary.

        Ends early, with the rest unread, once every part that is still to come is refused. `files_end` is the position
        where the last part ends, if it is known before. Raises EnvelopeBreach for a part that is not in `map`, comes
        twice or is missing, and whatever the reader raises.
        """
        name, current = "", list[Delivery]()
        while self._is_worth_reading():
            event = await reader.next()
            if isinstance(event, bytes):
                for delivery in current:
                    await delivery.write(event)
            elif isinstance(event, PartHead):
                name, current = event.name, self._addressees(event)
                await self._begin(event, reader.position, files_end)
            elif event is None:
                self._check_complete()
                return
            else:
                del self._awaited[name]
                for delivery in current:
                    await delivery.finish()

    async def abandon(self) -> None:
        """Remove everything that no resolver has taken."""
        for delivery in self._deliveries():
            await delivery.abandon(self._store)

    def _deliveries(self) -> Iterator[Delivery]:
        return chain.from_iterable(self._by_part.values())

    def _is_worth_reading(self) -> bool:
        # Once all parts have ended, the final boundary must follow.
        wanted = (not delivery.is_refused for name in self._awaited for delivery in self._by_part[name])
        return not self._awaited or any(wanted)

    def _addressees(self, head: PartHead) -> list[Delivery]:
        if head.name not in self._by_part:
            raise MapInvalid(f"{head} is not in “map”.")
        if head.name in self._begun:
            raise EnvelopeBreach(f"{head} comes a second time.")
        self._begun.add(head.name)
        return self._by_part[head.name]

    async def _begin(self, head: PartHead, position: int, files_end: int | None) -> None:
        size = head.content_length
        if size is None and files_end is not None and len(self._begun) == len(self._by_part):
            size = max(0, files_end - position)
        for delivery in self._by_part[head.name]:
            await delivery.begin(self._store, self._ports.policy, Part(head.filename, head.media_type, size))

    def _check_complete(self) -> None:
        if self._awaited:
            names = ", ".join(f"“{shortened(name)}”" for name in self._awaited)
            raise EnvelopeBreach(f"“map” names parts that are missing: {shortened(names, 200)}.")
