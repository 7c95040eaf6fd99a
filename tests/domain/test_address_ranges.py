import pytest

from domain.address_ranges import canonical_range, is_within
from domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_a_range_is_kept_in_one_form(given: str, kept: str) -> None:
    assert canonical_range(given) == kept
    assert canonical_range(kept) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "localhost",
        "192.0.2.1/24",
        "192.0.2.0/33",
        "192.0.2",
        "1",
        "192.0.2.0/24, 198.51.100.0/24",
        "fe80::%eth0/64",
        "2001:db8::/129",
        "192.0.2.0\0",
        "\ud800",
        "\uff11\uff19\uff12.0.2.1",
        "1" * 1_000_000,
    ],
)
def test_what_is_no_range_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput, match="is written like"):
        canonical_range(given)


@pytest.mark.parametrize(
    ("address", "ranges", "is_inside"),
    [
        ("192.0.2.7", ["192.0.2.0/24"], True),
        ("::ffff:192.0.2.7", ["192.0.2.0/24"], True),
        ("198.51.100.1", ["192.0.2.0/24"], False),
        ("::ffff:198.51.100.1", ["192.0.2.0/24"], False),
        ("2001:db8::7", ["192.0.2.0/24", "2001:db8::/32"], True),
        ("2001:db9::7", ["2001:db8::/32"], False),
        ("192.0.2.7", ["::/0"], False),
        ("2001:db8::7", ["0.0.0.0/0"], False),
        ("fe80::1%eth0", ["fe80::/10"], True),
        ("testclient", ["0.0.0.0/0", "::/0"], False),
        ("", ["0.0.0.0/0"], False),
        (None, ["0.0.0.0/0", "::/0"], False),
        (None, [], True),
        ("testclient", [], True),
    ],
)
def test_an_address_lies_in_a_range_or_not(address: str | None, ranges: list[str], *, is_inside: bool) -> None:
    assert is_within(address, ranges) is is_inside
