import pytest

from domain.emails import fold_email, mailbox
from domain.errors import InvalidInput

ONE = "bob@b\u00fccher.example"


@pytest.mark.parametrize(
    "other",
    [
        "BOB@B\u00dcCHER.example",
        "bob@xn--bcher-kva.example",
        "bob@XN--BCHER-KVA.example",
        "bob@bu\u0308cher.example",
    ],
)
def test_all_ways_to_write_a_mailbox_fold_alike(other: str) -> None:
    assert fold_email(other) == fold_email(ONE)


@pytest.mark.parametrize(
    "text", ["", "bob", "bob@", "@example.org", "a b@example.org", "bob@\0.org", "x" * 9999 + "@a.org"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not an email address"):
        fold_email(text)


@pytest.mark.parametrize(
    ("email", "taken"),
    [
        ("Ada@EXAMPLE.com", "Ada@example.com"),
        ("ada@bücher.example.com", "ada@xn--bcher-kva.example.com"),
        ("jörg@example.com", "jörg@example.com"),
    ],
)
def test_mail_servers_take_domains_in_punycode_and_local_parts_as_they_are(email: str, taken: str) -> None:
    assert mailbox(email) == taken


@pytest.mark.parametrize("email", ["=?utf-8?q?x?=@example.com", "a=?b@example.com", "a\r\nb@example.com"])
def test_what_mail_programs_would_read_otherwise_is_no_address(email: str) -> None:
    for judge in (mailbox, fold_email):
        with pytest.raises(InvalidInput):
            judge(email)
