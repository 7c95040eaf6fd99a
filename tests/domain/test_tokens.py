import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from uuid_utils.compat import uuid7

from domain.errors import BadCredential, ExpiredCredential
from domain.tokens import Holder, TokenIssuer

NOW = datetime(2026, 11, 22, 12, 0, 0, 500_000, tzinfo=UTC)
ISSUER = TokenIssuer(b"k" * 32, "https://files.example", timedelta(minutes=15))
HOLDER = Holder(uuid7(), uuid7())
END = NOW + timedelta(days=30)


def forged(key: bytes = ISSUER.key, algorithm: str = "HS256", **changes: Any) -> str:
    """A token with other claims; None leaves a claim out."""
    claims = jwt.decode(ISSUER.issue(HOLDER, NOW, END).text, options={"verify_signature": False}) | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm)


def test_a_token_says_who_signed_in_until_its_time_is_over() -> None:
    token = ISSUER.issue(HOLDER, NOW, END)
    assert token.expires_at == datetime(2026, 11, 22, 12, 15, tzinfo=UTC)
    assert ISSUER.verify(token.text, NOW) == HOLDER
    assert ISSUER.verify(token.text, token.expires_at - timedelta(seconds=1)) == HOLDER
    with pytest.raises(ExpiredCredential):
        ISSUER.verify(token.text, token.expires_at)


def test_a_token_does_not_outlast_its_session() -> None:
    token = ISSUER.issue(HOLDER, NOW, NOW + timedelta(minutes=1))
    assert token.expires_at == datetime(2026, 11, 22, 12, 1, tzinfo=UTC)
    with pytest.raises(ExpiredCredential):
        ISSUER.verify(token.text, token.expires_at)


def test_every_token_has_an_id_of_its_own() -> None:
    assert ISSUER.issue(HOLDER, NOW, END).text != ISSUER.issue(HOLDER, NOW, END).text


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another"},
        {"sub": "nobody"},
        {"sub": 5},
        {"sid": "none"},
        {"sid": 5},
        {"iat": NOW.timestamp() + 3600},
        {"iat": "soon"},
        {"exp": "never"},
        *({claim: None} for claim in ("iss", "aud", "sub", "sid", "iat", "exp", "jti")),
    ],
)
def test_a_token_with_other_claims_is_bad(changes: dict[str, Any]) -> None:
    with pytest.raises(BadCredential):
        ISSUER.verify(forged(**changes), NOW)


def test_a_token_of_another_key_or_algorithm_is_bad() -> None:
    header, claims, _ = ISSUER.issue(HOLDER, NOW, END).text.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    for text in (
        forged(key=b"o" * 32),
        forged(key=b"k" * 32 * 2, algorithm="HS512"),
        f"{none}.{claims}.",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        "",
        "é.ü.ö",
        "x" * 5000,
    ):
        with pytest.raises(BadCredential) as caught:
            ISSUER.verify(text, NOW)
        assert type(caught.value) is BadCredential
