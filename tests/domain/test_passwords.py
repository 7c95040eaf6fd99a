import pytest
from passlib.hash import bcrypt

from domain.passwords import MEMORY_BYTES, Verification, hash_password, verify_password, weaknesses

GOOD = "a quiet harbour at dusk"
BCRYPT = bcrypt.using(rounds=4).hash(GOOD)


def test_a_hash_is_argon2id_with_its_parameters_and_verifies() -> None:
    hashed = hash_password(GOOD)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hashed != hash_password(GOOD)
    right = verify_password(GOOD, hashed)
    assert (right.is_right, right.is_outdated) == (True, False)
    assert not verify_password(GOOD + "!", hashed).is_right


def test_a_hash_made_with_another_memory_verifies_and_is_outdated() -> None:
    hashed = hash_password(GOOD, 2 * MEMORY_BYTES)
    assert hashed.startswith("$argon2id$v=19$m=38912,t=2,p=1$")
    assert verify_password(GOOD, hashed) == Verification(is_right=True, is_outdated=True)
    assert verify_password(GOOD, hashed, 2 * MEMORY_BYTES) == Verification(is_right=True, is_outdated=False)
    assert not verify_password(GOOD + "!", hashed).is_right


def test_a_bcrypt_hash_verifies_and_is_outdated() -> None:
    right = verify_password(GOOD, BCRYPT)
    assert (right.is_right, right.is_outdated) == (True, True)


@pytest.mark.parametrize(
    "hashed", [BCRYPT, hash_password(GOOD), None, "", "garbage"], ids=["bcrypt", "argon2", "none", "empty", "garbage"]
)
@pytest.mark.parametrize("password", ["", "wrong", "x" * 73, "x" * 1025, GOOD + "\0", "\ud800", GOOD[:-1] + "\udfff"])
def test_whatever_a_scheme_cannot_take_is_a_wrong_password(password: str, hashed: str | None) -> None:
    assert not verify_password(password, hashed).is_right


def test_an_account_without_a_hash_verifies_nothing() -> None:
    for password in (GOOD, "a password that no account has", ""):
        assert not verify_password(password, None).is_right


@pytest.mark.parametrize("password", ["12345678", "password", "Iloveyou1", "ada.lovelace", "ADA.LOVELACE@example.org"])
def test_what_is_common_or_ones_own_name_is_weak(password: str) -> None:
    assert len(weaknesses(password, "Ada.Lovelace", "ada.lovelace@example.org")) == 1


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025, "\0" * 8, "abcdefg\ud800"])
def test_what_is_too_short_too_long_or_no_text_is_weak(password: str) -> None:
    assert weaknesses(password, "ada", "ada@example.org")


@pytest.mark.parametrize("password", [GOOD, "8 chars!", "ä" * 1024, "🔑" * 8, "ada lovelace's own"])
def test_anything_else_is_good_enough(password: str) -> None:
    assert weaknesses(password, "ada", "ada@example.org") == ()


def test_every_reason_is_told() -> None:
    assert len(weaknesses("ada\0", "ada", "ada@example.org")) == 3
