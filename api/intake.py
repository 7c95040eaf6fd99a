"""File parts into the store: each part to the uploads that `map` gives it, as far as the rules admit them."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from api.envelope import EnvelopeBreach, MapInvalid
from api.multipart import MultipartReader
from api.part_heads import PartHead, shortened
from db.models import UploadState, UploadTransport
from db.rows import VersionRow
from domain.backends import Backends
from domain.errors import Refusal
from domain.events import RequestFacts
from domain.rates import Allowance
from domain.repeated_uploads import Comparison, uploaded_before
from domain.uploads import Destination, Part, Receiver, UploadIntent, admit_intent, admit_part, asked_for
from domain.viewer import Viewer
from domain.watched_uploads import WatchedReceiver, drop
from schema.uploads import UploadSlot
from storage.store import StoreError


@dataclass(frozen=True, slots=True)
class Brought:
    """By whom uploads are brought, from where, and what is done with them."""

    backends: Backends
    viewer: Viewer
    facts: RequestFacts


class Delivery:
    """One upload on its way: refused, open for bytes, or received. Its slot learns the outcome."""

    def __init__(self, slot: UploadSlot) -> None:
        self.slot = slot
        self._intent = slot.intent or UploadIntent()
        self._destination: Destination | None = None
        self._allowance: Allowance | None = None
        self._before: VersionRow | None = None
        self._receiver: Receiver | WatchedReceiver | Comparison | None = None

    @property
    def is_refused(self) -> bool:
        """Whether its bytes are of no use any more."""
        return isinstance(self.slot.outcome, Refusal)

    async def admit(self, brought: Brought) -> None:
        """Ask the rules what the operation alone decides."""
        backends, viewer = brought.backends, brought.viewer
        try:
            self._before = await uploaded_before(backends.db, backends.ports, viewer, asked_for(viewer, self._intent))
            if self._before is None:
                self._destination = await admit_intent(backends.db, backends.ports, viewer, self._intent)
            self._allowance = Allowance(backends.ports, viewer)
        except Refusal as refusal:
            self.slot.outcome = refusal

    async def begin(self, brought: Brought, part: Part) -> None:
        """Ask the rules what the part's head decides, and open a blob, unless the bytes came before."""
        if self._allowance is None:
            return
        backends, upload_id = brought.backends, self._intent.upload_id
        try:
            if self._before is not None:
                self._receiver = await Comparison.begin(self._before, self._allowance, part.declared_size)
                return
            if self._destination is None:
                return
            admission = admit_part(backends.ports.policy, self._destination, self._intent, part)
            if upload_id is None:
                self._receiver = await Receiver.begin(backends.store, admission, self._allowance)
            else:
                watched = upload_id, admission
                by = brought.viewer, brought.facts
                self._receiver = await WatchedReceiver.begin(backends, by, watched, self._allowance)
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

    async def abandon(self, brought: Brought) -> None:
        """Remove what no resolver has taken."""
        # What a store cannot remove now is removed when its lease is over; the answer does not depend on it.
        with suppress(StoreError):
            received = self.slot.left_over
            if self._receiver is not None or received is not None:
                brought.backends.ports.meter.upload_ended(UploadTransport.MULTIPART, UploadState.ABORTED)
            if self._receiver is not None:
                await self._receiver.abandon()
            elif received is not None:
                await drop(brought.backends, received, brought.facts)


class Intake:
    """The deliveries of one request by the name of their part; one part may have several."""

    def __init__(self, deliveries: Iterable[Delivery], brought: Brought) -> None:
        self._brought = brought
        self._by_part: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            self._by_part.setdefault(delivery.slot.part_name, []).append(delivery)
        self._begun: set[str] = set()
        self._awaited = dict.fromkeys(self._by_part)

    async def admit(self) -> None:
        """Ask the rules about every upload, before any byte of any file: about all in one statement."""
        await asyncio.gather(*(delivery.admit(self._brought) for delivery in self._deliveries()))

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
            await delivery.abandon(self._brought)

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
            await delivery.begin(self._brought, Part(head.filename, head.media_type, size))

    def _check_complete(self) -> None:
        if self._awaited:
            names = ", ".join(f"“{shortened(name)}”" for name in self._awaited)
            raise EnvelopeBreach(f"“map” names parts that are missing: {shortened(names, 200)}.")
