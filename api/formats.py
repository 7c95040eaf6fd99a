"""How values are written in the environment: sizes, lists and URLs, as pure functions that raise ValueError."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network
UNITS = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": factor**power
    for power, prefix in enumerate("kmgt", 1)
    for suffix, factor in (("b", 1000), ("ib", 1024))
}
_SIZE = re.compile(r"(\d{1,15})\s*([a-z]{0,3})", re.ASCII | re.IGNORECASE)
_ASYNC_SCHEMES = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


def size_in_bytes(value: object) -> object:
    """`5 GiB`, `512MB` or a plain number of bytes, as an integer. Anything but text passes unchanged."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if not match or match[2].lower() not in UNITS:
        raise ValueError("should be a number of bytes such as 1048576, 512MiB or 5GiB")
    return int(match[1]) * UNITS[match[2].lower()]


def _pieces(value: object) -> list[str]:
    pieces = value.split(",") if isinstance(value, str) else value
    if not isinstance(pieces, Iterable):
        raise ValueError("should be a list, separated by commas")  # noqa: TRY004 - what pydantic turns into a problem
    return [piece for part in pieces if (piece := str(part).strip())]


def extensions(value: object) -> frozenset[str]:
    """Extensions, lower case and without their dots, from text separated by commas or from a collection."""
    return frozenset(piece.lower().removeprefix(".") for piece in _pieces(value))


def networks(value: object) -> tuple[Network, ...]:
    """Addresses and networks, from text separated by commas or from a collection."""
    return tuple(ip_network(piece, strict=False) for piece in _pieces(value))


def origins(value: object) -> tuple[str, ...]:
    """Origins as browsers send them (`https://host` or `https://host:port`), or `*` for any."""
    found = tuple(_pieces(value))
    for origin in found:
        parts = urlsplit(origin)
        is_host = parts.scheme in {"http", "https"} and bool(parts.hostname)
        if origin != "*" and not (is_host and origin == f"{parts.scheme}://{parts.netloc}"):
            raise ValueError(f"{origin!r} is no origin such as https://app.example.org")
    return tuple(origin.lower() for origin in found)


def database_url(value: str) -> str:
    """The URL for the asynchronous driver, from one in the form that hosting platforms and libpq use.

    `sslmode` becomes asyncpg's `ssl`; `channel_binding` is dropped, because asyncpg knows no such option.
    """
    scheme, found, rest = value.partition("://")
    driver = _ASYNC_SCHEMES.get(scheme.lower())
    if not found or driver is None:
        raise ValueError("should begin with postgresql:// or sqlite:///")
    address, _, query = rest.partition("?")
    if driver.startswith("sqlite"):
        if address.strip("/") in {"", ":memory:"} or not address.startswith("/"):
            raise ValueError("should name a file: sqlite:///relative.db or sqlite:////absolute.db")
        return f"{driver}://{rest}"
    options = [option for option in query.split("&") if option and not option.startswith("channel_binding=")]
    kept = "&".join(re.sub(r"^sslmode=", "ssl=", option) for option in options)
    return f"{driver}://{address}" + (f"?{kept}" if kept else "")


def redis_url(value: str) -> str:
    """A URL as redis-py reads it."""
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("should begin with redis://, rediss:// or unix://")
    return value


def public_url(value: str) -> str:
    """An absolute http or https URL without a trailing slash, credentials, query or fragment."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("should be a URL such as https://files.example.org")
    if parts.query or parts.fragment or "@" in parts.netloc or not value.isprintable() or " " in value:
        raise ValueError("should have no credentials, query or fragment")
    _ = parts.port  # urlsplit checks a port only when it is asked for
    return value.rstrip("/")
