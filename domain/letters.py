"""How mails look: the same words as plain text and as HTML that loads nothing from anywhere."""

import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from textwrap import fill

from domain.mail_messages import ENCODED_WORD

LINE_CHARACTERS = 72
_PAGE = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title></head>\n'
    '<body style="font-family:sans-serif;line-height:1.5;max-width:36em;margin:2em auto;padding:0 1em">\n'
    "{body}\n</body></html>\n"
)


@dataclass(frozen=True, slots=True)
class MailToken:
    """A token that can be used once, as its mail shows it, and how long it is good for."""

    text: str
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class Request:
    """What a mail asks its reader to do: a link that carries the token, and what is written on it."""

    label: str
    link: str
    token: MailToken


@dataclass(frozen=True, slots=True)
class Letter:
    """The words of a mail. Whatever people may have put into them is told apart here: nothing of it is markup."""

    title: str
    greeting: str
    before: tuple[str, ...]
    request: Request | None
    after: tuple[str, ...]
    signature: str


def text_of(letter: Letter) -> str:
    """The letter as plain text; links and tokens stand alone on their lines, however long."""
    request = letter.request
    asked = [] if request is None else [request.link, _pasting(), request.token.text, _lifetime(request.token)]
    paragraphs = [letter.greeting, *letter.before, *asked, *letter.after, letter.signature]
    return (
        "\n\n".join(fill(each, LINE_CHARACTERS, break_long_words=False, break_on_hyphens=False) for each in paragraphs)
        + "\n"
    )


def html_of(letter: Letter) -> str:
    """The letter as a page of HTML."""
    request = letter.request
    asked = []
    if request is not None:
        asked = [
            f'<a href="{escape(request.link)}" style="font-weight:bold">{escape(request.label)}</a>',
            f"{escape(_pasting())}<br><code>{escape(request.token.text)}</code>",
            escape(_lifetime(request.token)),
        ]
    around = [escape(each) for each in (letter.greeting, *letter.before)]
    below = [escape(each) for each in (*letter.after, letter.signature)]
    body = "\n".join(f"<p>{each}</p>" for each in (*around, *asked, *below))
    return _PAGE.format(title=escape(letter.title), body=body)


def one_line(text: str, characters: int) -> str:
    """What people wrote, as part of a line: no controls, no marks that nobody sees, and cut where it is too long.

    What a mail's head would take for an encoded word is broken up.
    """
    seen = "".join(_seen(character) for character in text[: 4 * characters])
    line = " ".join(seen.replace(ENCODED_WORD, "= ?").split())
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"


def _seen(character: str) -> str:
    if character.isprintable():
        return character
    # Format characters (overrides of direction, zero-width ones) join what stands around them; the rest divides it.
    return "" if unicodedata.category(character) == "Cf" else " "


def _pasting() -> str:
    return "Where no page asks for it, this is the token to paste:"


def _lifetime(token: MailToken) -> str:
    return f"It can be used once, within {_span(token.lifetime)}."


def _span(lifetime: timedelta) -> str:
    minutes = round(lifetime.total_seconds() / 60)
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes % size == 0 and minutes >= size:
            count = minutes // size
            return f"{count} {unit}" + ("s" if count > 1 else "")
    return "a minute"
