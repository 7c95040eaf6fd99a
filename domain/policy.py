"""What may be uploaded: sizes and extensions, as the settings give them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """Limits of every upload. Extensions are lower case, without a dot."""

    maximum_file_bytes: int
    maximum_files: int
    allowed_extensions: frozenset[str]
    blocked_extensions: frozenset[str]
