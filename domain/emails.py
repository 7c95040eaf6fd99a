"""Email addresses: which are valid, and the form that tells one mailbox from another."""

from email_validator import EmailNotValidError, validate_email
from email_validator.rfc_constants import EMAIL_MAX_LENGTH

from domain.errors import InvalidInput
from domain.names import fold


def fold_email(email: str) -> str:
    """What uniqueness and login compare: one form for all ways to write a mailbox. Raises InvalidInput.

    Case counts nowhere, and a domain is the same in Unicode and in Punycode. Whether mail arrives is not asked.
    """
    try:
        valid = validate_email(email[: EMAIL_MAX_LENGTH + 1], check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidInput(message=f"This is not an email address: {error}", path=("email",)) from error
    return fold(valid.normalized)
