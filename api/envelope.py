"""The envelope of a multipart upload: its limits, and what is said when it is broken.

The endpoint turns a breach into a GraphQL error body with the breach's status, and the answer closes the connection.
"""

from dataclasses import dataclass
from typing import ClassVar


class EnvelopeBreach(Exception):  # noqa: N818 - a refusal of the whole request
    """The request as a whole is refused. `message` names the part and, where there is one, the limit."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "MULTIPART_INVALID"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MapInvalid(EnvelopeBreach):
    """`map` and the operation do not fit: a path that is no upload position, a variable used twice, an unread part."""

    code = "UPLOAD_MAP_INVALID"


class RequestTooLarge(EnvelopeBreach):
    """The request, a field, a head or the number of parts is over its limit."""

    status = 413
    code = "REQUEST_TOO_LARGE"


class MediaTypeUnsupported(EnvelopeBreach):
    """The content type, its parameters or a transfer encoding is not one that is read."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class SenderStalled(EnvelopeBreach):
    """The client sent too little for too long."""

    status = 408
    code = "REQUEST_TIMEOUT"


class SenderGone(Exception):  # noqa: N818
    """The connection was cut while the request was being read: there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class EnvelopeLimits:
    """Limits in bytes of what surrounds the files; the files have their own, in `UploadPolicy`."""

    request_bytes: int
    operations_bytes: int = 1 << 20
    map_bytes: int = 1 << 18
