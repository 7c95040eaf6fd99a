"""Where the bytes of an upload go: the URL of its tus resource, or signed URLs that need no header.

A signed URL is bound to its upload, to the bytes it is for and to a time. It lends the right of whoever announced the
upload, and ends with that right, with the upload, and with its use.
"""

from dataclasses import dataclass
from uuid import UUID

from db.rows import UploadRow
from domain.errors import BadCredential, ExpiredCredential
from domain.ports import Ports
from domain.upload_sessions import part_range

_WHOLE = "upload"
_PART = "upload part"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL to send bytes to by PUT, and how many it takes."""

    url: str
    size: int


@dataclass(frozen=True, slots=True)
class SignedTarget:
    """What a signed URL says. `number` is the part's, None for all bytes; `expires` is in seconds since 1970."""

    upload_id: UUID
    number: int | None
    expires: int
    signature: str


def tus_url(ports: Ports, upload: UploadRow) -> str:
    """Where the bytes go by tus; the requests carry a credential of whoever announced the upload."""
    return _url(ports, upload.id)


def put_target(ports: Ports, upload: UploadRow) -> Target:
    """Where all the bytes go, by one PUT."""
    return Target(_signed(ports, upload, None), upload.size or 0)


def part_target(ports: Ports, upload: UploadRow, number: int) -> Target:
    """Where a part goes. Raises InvalidInput."""
    _, size = part_range(upload, number)
    return Target(_signed(ports, upload, number), size)


def judge_target(ports: Ports, target: SignedTarget) -> None:
    """Do nothing for what was signed here and is not over. Raises BadCredential and ExpiredCredential."""
    if not ports.signer.verify(target.signature, *_parts(target.upload_id, target.number, target.expires)):
        raise BadCredential(message="The URL is not valid.")
    if ports.clock.now().timestamp() >= target.expires:
        raise ExpiredCredential(message="The URL has expired.")


def _signed(ports: Ports, upload: UploadRow, number: int | None) -> str:
    expires = int(upload.expires_at.timestamp())
    place = "content" if number is None else f"parts/{number}"
    signature = ports.signer.sign(*_parts(upload.id, number, expires))
    return f"{_url(ports, upload.id)}/{place}?expires={expires}&signature={signature}"


def _url(ports: Ports, upload_id: UUID) -> str:
    return f"{ports.public_url.rstrip('/')}/uploads/upl_{upload_id.hex}"


def _parts(upload_id: UUID, number: int | None, expires: int) -> tuple[str, ...]:
    if number is None:
        return _WHOLE, upload_id.hex, str(expires)
    return _PART, upload_id.hex, str(number), str(expires)
