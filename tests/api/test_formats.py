from ipaddress import ip_network

import pytest

from api import formats
from db.rates import Rate


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("0", 0),
        ("1048576", 1024**2),
        ("64KiB", 64 * 1024),
        (" 5 GiB ", 5 * 1024**3),
        ("5gib", 5 * 1024**3),
        ("2MB", 2_000_000),
        ("1 TiB", 1024**4),
        ("7b", 7),
        (12, 12),
    ],
)
def test_sizes_are_read_with_their_unit(written: object, size: int) -> None:
    assert formats.size_in_bytes(written) == size


@pytest.mark.parametrize("written", ["", "GiB", "-1", "1.5GiB", "5 Gigs", "1e9", "\u0665", "1" * 16, "5 GiBB"])
def test_what_is_no_size_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="number of bytes"):
        formats.size_in_bytes(written)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("postgres://u:p@h:5432/d", "postgresql+asyncpg://u:p@h:5432/d"),
        ("postgresql://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("PostgreSQL://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql+asyncpg://u@h/d?ssl=require", "postgresql+asyncpg://u@h/d?ssl=require"),
        ("postgres://h/d?sslmode=require&channel_binding=require", "postgresql+asyncpg://h/d?ssl=require"),
        ("postgres://h/d?channel_binding=require", "postgresql+asyncpg://h/d"),
        ("sqlite:///a.db", "sqlite+aiosqlite:///a.db"),
        ("sqlite:////var/a.db?mode=rw", "sqlite+aiosqlite:////var/a.db?mode=rw"),
        ("sqlite+aiosqlite:///a.db", "sqlite+aiosqlite:///a.db"),
    ],
)
def test_database_urls_are_rewritten_for_their_asynchronous_driver(written: str, url: str) -> None:
    assert formats.database_url(written) == url


@pytest.mark.parametrize("written", ["", "a.db", "mysql://h/d", "postgresql:h", "sqlite://", "sqlite:///:memory:"])
def test_what_is_no_usable_database_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="should"):
        formats.database_url(written)


@pytest.mark.parametrize("url", ["redis://h", "rediss://:p@h:6380/1", "unix:///run/redis.sock"])
def test_redis_urls_pass_unchanged(url: str) -> None:
    assert formats.redis_url(url) == url


def test_what_is_no_redis_url_is_refused() -> None:
    with pytest.raises(ValueError, match="redis://"):
        formats.redis_url("localhost:6379")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://files.example.org", "https://files.example.org"),
        ("https://files.example.org/", "https://files.example.org"),
        ("http://[::1]:8000/under/", "http://[::1]:8000/under"),
    ],
)
def test_public_urls_lose_their_last_slash(written: str, url: str) -> None:
    assert formats.public_url(written) == url


@pytest.mark.parametrize(
    "written",
    [
        "files.example.org",
        "ftp://h",
        "https://",
        "https://u:p@h",
        "https://h/?q",
        "https://h/#f",
        "https://h:99999",
        "https://h:x",
        "https://h/\n",
        "https://h /",
    ],
)
def test_what_is_no_public_url_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"should|[Pp]ort|whitespace"):
        formats.public_url(written)


@pytest.mark.parametrize(
    ("written", "rate", "shown"),
    [
        ("600/minute", Rate(600, 60), "600/minute"),
        (" 1 / Second ", Rate(1, 1), "1/second"),
        ("10/hours", Rate(10, 3600), "10/hour"),
        ("20/15minutes", Rate(20, 900), "20/15minutes"),
        ("5 / 90 seconds", Rate(5, 90), "5/90seconds"),
        ("3/24hours", Rate(3, 86400), "3/day"),
        ("1 TiB/day", Rate(1024**4, 86400), "1TiB/day"),
        ("1500GiB/day", Rate(1500 * 1024**3, 86400), "1500GiB/day"),
        ("5GB/2 days", Rate(5_000_000_000, 172_800), "5000000000/2days"),
    ],
)
def test_rates_are_so_much_in_some_time(written: str, rate: Rate, shown: str) -> None:
    assert formats.rate(written) == rate
    assert formats.written_rate(rate) == shown
    assert formats.rate(shown) == formats.rate(rate) == rate


@pytest.mark.parametrize(
    "written",
    [
        "",
        "600",
        "/minute",
        "600/",
        "600/fortnight",
        "0/minute",
        "-1/minute",
        "1.5/second",
        "600/0minutes",
        "many/hour",
        "600/minute/hour",
        "600 per minute",
        "1/99999days",
        "9" * 15 + "TiB/day",
        "\u0665/minute",
        "600/minute\n5",
    ],
)
def test_what_is_no_rate_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="should"):
        formats.rate(written)


def test_extensions_are_lower_case_and_have_no_dot() -> None:
    assert formats.extensions(" .PDF, png ,,") == {"pdf", "png"}
    assert formats.extensions(frozenset({"Pdf"})) == {"pdf"}


def test_a_list_is_text_or_a_collection() -> None:
    with pytest.raises(ValueError, match="commas"):
        formats.extensions(5)


def test_networks_may_be_single_addresses_and_have_host_bits() -> None:
    assert formats.networks("10.1.2.3/8, ::1") == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    with pytest.raises(ValueError, match=r"proxy\.example"):
        formats.networks("10.0.0.1,proxy.example")


def test_origins_are_a_scheme_and_a_host_or_any() -> None:
    assert formats.origins("https://App.example.org, http://localhost:5173") == (
        "https://app.example.org",
        "http://localhost:5173",
    )
    assert formats.origins("*") == ("*",)


@pytest.mark.parametrize("written", ["app.example.org", "https://a/", "https://a/b", "null", "https://"])
def test_what_is_no_origin_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no origin"):
        formats.origins(written)


@pytest.mark.parametrize(
    ("written", "server"),
    [
        ("smtp://mail.example.org", ("mail.example.org", 587, "starttls", None, None)),
        ("smtps://mail.example.org", ("mail.example.org", 465, "tls", None, None)),
        ("smtp://[::1]:25?starttls=never", ("::1", 25, "none", None, None)),
        ("smtp://u%40x.org:p%2F%3A%25@h:2525/", ("h", 2525, "starttls", "u@x.org", "p/:%")),
    ],
)
def test_mail_servers_have_usual_ports_and_tls_unless_it_is_said(written: str, server: tuple[object, ...]) -> None:
    assert formats.smtp_server(written) == server


@pytest.mark.parametrize(
    "written",
    [
        "",
        "mail.example.org:587",
        "http://mail.example.org",
        "smtp://",
        "smtp://h:99999",
        "smtp://h/path",
        "smtp://h?starttls=maybe",
        "smtps://h?starttls=never",
        "smtp://h#f",
        "smtp://user@h",
        "smtp://h\n",
        "smtp://u:hunter2/3@h",
        "smtp://u:hunter2\u2100@h",
        "smtp://u:hunter2[@h",
    ],
)
def test_what_is_no_mail_server_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="should") as caught:
        formats.smtp_server(written)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "sender"),
    [
        ("files@example.org", ("", "files@example.org")),
        ("Cairn <files@example.org>", ("Cairn", "files@example.org")),
        ('"Müller, Zoë" <a+b@localhost>', ("Müller, Zoë", "a+b@localhost")),
    ],
)
def test_a_sender_is_an_address_perhaps_with_a_name(written: str, sender: tuple[str, str]) -> None:
    assert formats.mail_sender(written) == sender


@pytest.mark.parametrize(
    "written",
    [
        "",
        "files",
        "a@b@c",
        "a b@example.org",
        "<a@b.org",
        "a@b.org>",
        "X <a@b.org> y",
        "a@b.org\r\nBcc: c@d.org",
        "=?x <a@b.org>",
    ],
)
def test_what_is_no_sender_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="should be an address"):
        formats.mail_sender(written)
