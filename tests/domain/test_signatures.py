from hypothesis import given
from hypothesis import strategies as st

from domain.signatures import Signer

PARTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4)
SIGNER = Signer(b"s" * 32)


@given(PARTS, PARTS)
def test_a_signature_is_good_for_these_parts_and_no_others(parts: list[str], others: list[str]) -> None:
    signature = SIGNER.sign(*parts)
    assert SIGNER.verify(signature, *parts)
    assert SIGNER.verify(signature, *others) is (parts == others)


def test_a_signature_is_short_and_fits_into_a_url() -> None:
    signature = SIGNER.sign("a")
    assert len(signature) == 43
    assert signature.replace("-", "").replace("_", "").isalnum()


def test_what_an_older_key_signed_is_still_good() -> None:
    rotated = Signer(b"n" * 32, (b"o" * 32, SIGNER.key))
    assert rotated.verify(SIGNER.sign("a"), "a")
    assert rotated.verify(rotated.sign("a"), "a")
    assert not SIGNER.verify(rotated.sign("a"), "a")


def test_another_key_or_another_text_is_no_signature() -> None:
    assert not Signer(b"t" * 32).verify(SIGNER.sign("a"), "a")
    for text in ("", "é", "x" * 10_000, SIGNER.sign("a") + "="):
        assert not SIGNER.verify(text, "a")
