import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from uuid_utils.compat import uuid7

from domain.errors import BadCredential, ExpiredCredential
from domain.tokens import Holder, TokenIssuer, TokenKey, shared_key, signing_keys

NOW = datetime(2026, 11, 22, 12, 0, 0, 500_000, tzinfo=UTC)
SECRET = b"k" * 32
SHARED = shared_key(SECRET)
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
OTHER_PEM = PEM.replace("J1hsZ3v", "K1hsZ3v")
PUBLIC_PEM = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
"""
[SIGNING] = signing_keys(PEM)


def issuer_of(*keys: TokenKey) -> TokenIssuer:
    return TokenIssuer(keys, "https://files.example", timedelta(minutes=15))


ISSUER = issuer_of(SHARED)
HOLDER = Holder(uuid7(), uuid7())
END = NOW + timedelta(days=30)


def forged(key: Any = SECRET, algorithm: str = "HS256", kid: Any = SHARED.id, **changes: Any) -> str:
    """A token with other claims, signed otherwise; None leaves a claim out."""
    claims = jwt.decode(ISSUER.issue(HOLDER, NOW, END).text, options={"verify_signature": False}) | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={} if kid is None else {"kid": kid})


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
        {"exp": 1e400},
        {"iat": float("nan")},
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
        forged(kid=None),
        forged(kid="another"),
        forged(kid=SIGNING.id),
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


def test_a_newer_key_signs_and_older_ones_still_verify() -> None:
    newest = shared_key(b"n" * 32)
    rotated = issuer_of(newest, SHARED)
    old = ISSUER.issue(HOLDER, NOW, END).text
    new = rotated.issue(HOLDER, NOW, END).text

    assert rotated.verify(old, NOW) == rotated.verify(new, NOW) == issuer_of(newest).verify(new, NOW) == HOLDER
    assert jwt.get_unverified_header(new)["kid"] == newest.id
    for issuer, text in ((ISSUER, new), (issuer_of(newest), old)):
        with pytest.raises(BadCredential):
            issuer.verify(text, NOW)


def test_an_ed25519_key_signs_and_what_was_signed_with_the_secret_still_verifies() -> None:
    issuer = issuer_of(SIGNING, SHARED)
    text = issuer.issue(HOLDER, NOW, END).text

    assert jwt.get_unverified_header(text) == {"alg": "EdDSA", "kid": SIGNING.id, "typ": "JWT"}
    assert issuer.verify(text, NOW) == HOLDER
    assert issuer.verify(ISSUER.issue(HOLDER, NOW, END).text, NOW) == HOLDER


def test_others_verify_with_the_public_key_and_the_public_key_alone() -> None:
    issuer = issuer_of(SIGNING, SHARED)
    text = issuer.issue(HOLDER, NOW, END).text
    [published] = jwt.PyJWKSet.from_dict({"keys": issuer.public_keys}).keys

    claims = jwt.decode(text, published, audience="cairn", options={"verify_exp": False, "verify_iat": False})
    assert (claims["sub"], claims["sid"]) == (HOLDER.user_id.hex, HOLDER.session_id.hex)
    assert set(issuer.public_keys[0]) == {"alg", "crv", "kid", "kty", "use", "x"}
    assert ISSUER.public_keys == []


def test_the_head_of_a_token_chooses_neither_the_algorithm_nor_the_kind_of_key() -> None:
    issuer = issuer_of(SIGNING, SHARED)
    assert SIGNING.public
    raw = base64.urlsafe_b64decode(SIGNING.public["x"] + "=")
    published = SIGNING.public["x"].encode()
    [other] = signing_keys(OTHER_PEM)
    texts = [
        forged(key=raw, kid=SIGNING.id),
        forged(key=published, kid=SIGNING.id),
        forged(key=published * 2, algorithm="HS512", kid=SIGNING.id),
        forged(key=SECRET, kid=SIGNING.id),
        forged(key=other.key.key, algorithm="EdDSA", kid=SIGNING.id),
        forged(key=SIGNING.key.key, algorithm="EdDSA", kid=SHARED.id),
        forged(key=SIGNING.key.key, algorithm="EdDSA", kid=None),
        forged(key="", algorithm="none", kid=SIGNING.id),
        forged(key="", algorithm="none", kid=SHARED.id),
    ]
    for text in texts:
        with pytest.raises(BadCredential) as caught:
            issuer.verify(text, NOW)
        assert type(caught.value) is BadCredential


def test_any_piece_of_a_token_that_is_missing_or_changed_makes_it_bad() -> None:
    issuer = issuer_of(SIGNING, SHARED)
    for text in (issuer.issue(HOLDER, NOW, END).text, ISSUER.issue(HOLDER, NOW, END).text):
        for cut in range(0, len(text), 7):
            changed = text[:cut] + ("A" if text[cut] != "A" else "B") + text[cut + 1 :]
            for damaged in (text[:cut], changed):
                with pytest.raises(BadCredential):
                    issuer.verify(damaged, NOW)


def test_a_key_id_tells_keys_apart_and_nothing_of_them() -> None:
    assert shared_key(SECRET).id == SHARED.id != shared_key(b"l" * 32).id
    assert len(SHARED.id) == 16
    assert len(SIGNING.id) == 43


def test_several_signing_keys_come_in_the_order_they_are_given() -> None:
    first, second = signing_keys(OTHER_PEM + PEM)
    assert (first.id == SIGNING.id, second.id) == (False, SIGNING.id)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "a secret",
        PEM.replace("MC4C", "MC4D"),
        PEM + "and more",
        PEM.replace("PRIVATE", "PUBLIC"),
        PUBLIC_PEM,
        PEM + PUBLIC_PEM,
        "-----BEGIN PRIVATE KEY-----\nMEcCAQAwBQYDK2VxBDsEOW\n-----END PRIVATE KEY-----",
    ],
)
def test_what_is_no_ed25519_private_key_is_refused(pem: str) -> None:
    with pytest.raises(ValueError, match="should hold"):
        signing_keys(pem)


NAMED = f'{{"kid": "{SHARED.id}", "alg": '


@pytest.mark.parametrize(
    "head",
    [
        "[" * 3000,
        '{"kid": ' + "[" * 3000,
        '{"kid": ' + "9" * 3000 + "}",
        '{"kid": {}, "alg": "HS256"}',
        NAMED + "null}",
        NAMED + '["HS256"]}',
        NAMED + "5}",
        NAMED + '"HS256", "crit": ["exp"]}',
        NAMED + '"HS256", "b64": false, "crit": ["b64"]}',
        "[]",
        "null",
        "\xff",
    ],
)
def test_a_head_that_is_none_of_ours_is_bad(head: str) -> None:
    encoded = base64.urlsafe_b64encode(head.encode("latin-1")).rstrip(b"=").decode()
    _, claims, signature = ISSUER.issue(HOLDER, NOW, END).text.split(".")
    with pytest.raises(BadCredential):
        ISSUER.verify(f"{encoded}.{claims}.{signature}", NOW)
