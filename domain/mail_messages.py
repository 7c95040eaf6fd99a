"""Mail on its way: a message that can do no harm to its own head, and what can go wrong with it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

from uuid_utils.compat import uuid7

from domain.jobs import Hopeless, JobFault

SUBJECT_CHARACTERS = 150
# How an encoded word begins (RFC 2047). Python's email package decodes it where it is given, and of some versions also
# writes what comes out, line ends and all: `=?utf-8?q?=0D=0ABcc:_x@y.org?=` as a subject was one more recipient.
ENCODED_WORD = "=?"


class MailDelayed(JobFault):
    """The mail could not be handed over, and may be later: no connection, no answer in time, a refusal for now."""


class MailRefused(Hopeless):
    """The mail will never be taken: there is no such mailbox, or the server wants nothing of what it says."""


@dataclass(frozen=True, slots=True)
class MailMessage:
    """One mail to one address. `id` stays the same however often it is sent.

    Raises ValueError for a subject or an address that is no single line of plain text: both stand in the mail's head.
    """

    to: str
    subject: str
    text: str
    html: str
    id: str = field(default_factory=lambda: uuid7().hex)

    def __post_init__(self) -> None:
        for line in (self.to, self.subject):
            if not line or not line.isprintable() or ENCODED_WORD in line:
                raise ValueError("the head of a mail takes single lines of plain text")
        if len(self.subject) > SUBJECT_CHARACTERS:
            raise ValueError(f"a subject has at most {SUBJECT_CHARACTERS} characters")

    def payload(self) -> dict[str, str]:
        """The message as a job keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, payload: Mapping[str, str]) -> Self:
        """The message that a job kept."""
        return cls(**payload)
