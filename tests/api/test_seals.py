import pytest
from cryptography.exceptions import InvalidTag

from api.seals import AesSealer, UnknownSeal

OLD, NEW = b"o" * 32, b"n" * 32


def test_what_is_sealed_opens_for_its_owner_alone() -> None:
    sealer = AesSealer((OLD,))
    sealed = sealer.seal(b"a secret", b"ada")
    assert "secret" not in sealed
    assert sealed != sealer.seal(b"a secret", b"ada")
    assert (sealer.unseal(sealed, b"ada").secret, sealer.unseal(sealed, b"ada").is_outdated) == (b"a secret", False)
    with pytest.raises(InvalidTag):
        sealer.unseal(sealed, b"eve")


def test_an_older_key_still_opens_and_asks_to_be_replaced() -> None:
    sealed = AesSealer((OLD,)).seal(b"a secret", b"ada")
    unsealed = AesSealer((NEW, OLD)).unseal(sealed, b"ada")
    assert (unsealed.secret, unsealed.is_outdated) == (b"a secret", True)
    with pytest.raises(UnknownSeal, match="SECRET_KEY"):
        AesSealer((NEW,)).unseal(sealed, b"ada")
