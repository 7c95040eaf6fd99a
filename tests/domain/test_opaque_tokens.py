from hashlib import sha256

import pytest

from api.ports import SystemRandomness
from domain.opaque_tokens import draw_token, hash_of


def test_a_token_is_given_out_once_and_known_by_its_hash() -> None:
    first, second = draw_token(SystemRandomness()), draw_token(SystemRandomness())
    assert first.text != second.text
    assert len(first.text) == 43
    assert hash_of(first.text) == first.hash == sha256(first.text.encode()).hexdigest()


@pytest.mark.parametrize("text", ["", "A" * 42, "A" * 44, "A" * 43 + "\n", "=" * 43, "\0" * 43, "\ud800" * 43])
def test_what_can_be_no_token_has_no_hash(text: str) -> None:
    assert hash_of(text) is None
