"""Email addresses: which are valid, and the form that tells one mailbox from another."""

from email_validator import EmailNotValidError, ValidatedEmail, validate_email
from email_validator.rfc_constants import EMAIL_MAX_LENGTH

from domain.errors import InvalidInput
from domain.mail_messages import ENCODED_WORD
from domain.names import fold


def fold_email(email: str) -> str:
    """What uniqueness and login compare: one form for all ways to write a mailbox. Raises InvalidInput.

    Case counts nowhere, and a domain is the same in Unicode and in Punycode. Whether mail arrives is not asked.
    """
    return fold(_valid(email).normalized)


def mailbox(email: str) -> str:
    """The address as mail servers take it: the domain in Punycode, the local part as it was given.

    Raises InvalidInput.
    """
    valid = _valid(email)
    return f"{valid.local_part}@{valid.ascii_domain}"


def _valid(email: str) -> ValidatedEmail:
    if ENCODED_WORD in email:
        message = f"This is not an email address that mail programs take: it has {ENCODED_WORD!r} in it."
        raise InvalidInput(message=message, path=("email",))
    try:
        return validate_email(email[: EMAIL_MAX_LENGTH + 1], check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidInput(message=f"This is not an email address: {error}", path=("email",)) from error
