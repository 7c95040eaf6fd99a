import pytest

from domain.emails import fold_email
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
