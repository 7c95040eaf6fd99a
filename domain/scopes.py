"""What an API key is allowed, of what its owner may do."""

from enum import StrEnum


class Scope(StrEnum):
    """One kind of thing that a key may be used for. Each verb names the one that it asks for."""

    FILES_READ = "files:read"
    FILES_WRITE = "files:write"
    ACCOUNT_READ = "account:read"
    ACCOUNT_WRITE = "account:write"
    ANALYTICS_READ = "analytics:read"
    ADMIN = "admin"
