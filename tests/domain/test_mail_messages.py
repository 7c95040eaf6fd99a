import json

import pytest

from domain.mail_messages import SUBJECT_CHARACTERS, MailMessage


def message(to: str = "ada@example.com", subject: str = "Hello") -> MailMessage:
    return MailMessage(to, subject, "text", "<p>text</p>")


def test_a_message_survives_its_job_with_its_id() -> None:
    original = message()
    assert MailMessage.of(json.loads(json.dumps(original.payload()))) == original
    assert message().id != original.id


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a\nBcc: x@example.org",
        "a\r\nBcc: x@example.org",
        "a\rb",
        "a\0b",
        "a\x0bb",
        "a\x85b",
        "a\u2028b",
        "a\u202eb",
        "\ud800",
        "=?utf-8?q?a=0D=0ABcc:_x@example.org?=",
    ],
)
def test_what_could_add_to_the_head_is_no_subject_and_no_address(line: str) -> None:
    with pytest.raises(ValueError, match="single lines"):
        message(subject=line)
    with pytest.raises(ValueError, match="single lines"):
        message(to=line)


def test_a_subject_is_bounded() -> None:
    message(subject="a" * SUBJECT_CHARACTERS)
    with pytest.raises(ValueError, match="at most 150"):
        message(subject="a" * (SUBJECT_CHARACTERS + 1))
