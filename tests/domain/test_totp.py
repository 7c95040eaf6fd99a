"""The codes of RFC 6238, appendix B, of which apps show the last six digits."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.totp import code_at, is_code, otpauth_uri, step_of, written

SECRET = b"12345678901234567890"
VECTORS = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


@pytest.mark.parametrize(("seconds", "code"), VECTORS.items())
def test_codes_are_those_of_the_specification(seconds: int, code: str) -> None:
    assert code_at(SECRET, seconds // 30) == code
    assert step_of(SECRET, code, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


def test_a_clock_may_be_a_step_off_and_no_more() -> None:
    now = datetime.fromtimestamp(1234567890, UTC)
    step = 1234567890 // 30
    code = VECTORS[1234567890]
    assert [step_of(SECRET, code, now + timedelta(seconds=30 * off)) for off in range(-2, 3)] == [
        None,
        step,
        step,
        step,
        None,
    ]
    assert step_of(b"another secret here.", code, now) is None


@pytest.mark.parametrize("text", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "123456\n", " 12345"])
def test_a_code_has_six_digits(text: str) -> None:
    assert not is_code(text)
    assert is_code("012345")


def test_an_app_is_set_up_with_a_uri() -> None:
    assert written(SECRET) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert otpauth_uri(SECRET, "Cairn", "ada l") == (
        "otpauth://totp/Cairn:ada%20l?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Cairn"
        "&algorithm=SHA1&digits=6&period=30"
    )
