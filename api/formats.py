"""How values are written in the environment: sizes, lists and URLs, as pure functions that raise ValueError."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from db.rates import Rate

Network = IPv4Network | IPv6Network
UNITS = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": factor**power
    for power, prefix in enumerate("kmgt", 1)
    for suffix, factor in (("b", 1000), ("ib", 1024))
}
SPANS = {"second": 1, "minute": 60, "hour": 60 * 60, "day": 24 * 60 * 60}
LARGEST_AMOUNT = 1 << 53
_RATE = re.compile(r"([^/]+)/\s*(\d{0,4})\s*(second|minute|hour|day)s?", re.ASCII | re.IGNORECASE)
_SIZE = re.compile(r"(\d{1,15})\s*([a-z]{0,3})", re.ASCII | re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_ASYNC_SCHEMES = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


class SmtpServer(NamedTuple):
    """Where mail is handed over. `security`: TLS from the start, STARTTLS before anything is said, or none."""

    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    username: str | None
    password: str | None


class MailSender(NamedTuple):
    """Who mails are from; the name may be empty."""

    name: str
    address: str


def size_in_bytes(value: object) -> object:
    """`5 GiB`, `512MB` or a plain number of bytes, as an integer. Anything but text passes unchanged."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if not match or match[2].lower() not in UNITS:
        raise ValueError("should be a number of bytes such as 1048576, 512MiB or 5GiB")
    return int(match[1]) * UNITS[match[2].lower()]


def rate(value: object) -> object:
    """`600/minute`, `20 / 15 minutes` or `1 TiB/day`, as a Rate. Anything but text passes unchanged."""
    if not isinstance(value, str):
        return value
    match = _RATE.fullmatch(value.strip())
    if not match:
        raise ValueError("should be a rate such as 600/minute, 20/15minutes or 1TiB/day")
    amount, seconds = size_in_bytes(match[1]), int(match[2] or 1) * SPANS[match[3].lower()]
    if not isinstance(amount, int) or not 1 <= amount <= LARGEST_AMOUNT or seconds == 0:
        raise ValueError("should allow something in some time, such as 600/minute")
    return Rate(amount, seconds)


def written_rate(given: Rate) -> str:
    """A rate as `rate` reads it."""
    span, length = next((name, length) for name, length in reversed(SPANS.items()) if given.seconds % length == 0)
    unit = next((unit for unit in ("TiB", "GiB") if given.amount % UNITS[unit.lower()] == 0), "")
    number = given.seconds // length
    return f"{given.amount // UNITS[unit.lower()]}{unit}/" + (span if number == 1 else f"{number}{span}s")


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


def smtp_server(value: str) -> SmtpServer:
    """A mail server from its URL: `smtp://user:password@host:587`, or `smtps://…` for TLS from the start.

    STARTTLS is required under `smtp:`, unless `?starttls=never` says that there is none.
    """
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        # The original words quote what is wrong, which may be half a password.
        raise ValueError("should have a port from 0 to 65535, and %2F for each / in its password") from None
    never = parts.query == "starttls=never" and parts.scheme == "smtp"
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or not value.isprintable():
        raise ValueError("should be a URL such as smtp://user:password@mail.example.org:587")
    if parts.path.strip("/") or parts.fragment or (parts.query and not never):
        raise ValueError("should have no path, and no query but ?starttls=never with smtp://")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("should have both a user and a password, or neither")
    is_tls = parts.scheme == "smtps"
    return SmtpServer(
        host=parts.hostname,
        port=port or (465 if is_tls else 587),
        security="tls" if is_tls else "none" if never else "starttls",
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


def mail_sender(value: str) -> MailSender:
    """Who mails are from: an address, perhaps with a name before it, as in `Cairn <files@example.org>`."""
    name, bracket, rest = value.rpartition("<")
    address = rest.removesuffix(">")
    if (
        not value.isprintable()
        or "=?" in value
        or not _ADDRESS.fullmatch(address)
        or value.endswith(">") != bool(bracket)
    ):
        raise ValueError("should be an address such as files@example.org, or Cairn <files@example.org>")
    return MailSender(name.strip().strip('"'), address)
