"""The parts of the documents that the code dictates: `python -m tests.documents` writes them, a test compares them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from inspect import getdoc
from pathlib import Path

from pydantic.fields import FieldInfo
from strawberry.utils.str_converters import to_camel_case

from api import bodies, envelope, negotiation, tus_heads
from api.envelope import EnvelopeBreach
from api.problems import STATUS
from api.settings import Settings
from api.settings_lines import lines
from api.variables import PLATFORM_NAMES, read_settings, variable_of
from domain import errors, stream_errors, upload_errors
from domain.errors import Refusal

ROOT = Path(__file__).parent.parent
GIB, MIB, KIB = 1024**3, 1024**2, 1024
COMMENT_WIDTH = 110


def documents() -> dict[Path, str]:
    """Every document with a part that the code dictates, as it should be."""
    return {
        ROOT / "docs/settings.md": _with_tables("docs/settings.md", settings=_settings_table()),
        ROOT / "docs/errors.md": _with_tables("docs/errors.md", refusals=_refusals_table(), breaches=_breaches_table()),
        ROOT / ".env.example": _environment_example(),
    }


def _with_tables(document: str, **tables: Iterable[str]) -> str:
    text = (ROOT / document).read_text()
    for name, rows in tables.items():
        begin, end = f"<!-- {name}: written by make docs -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + "\n".join(["", *rows, "", ""]) + end + after
    return text


def _settings_table() -> Iterator[str]:
    yield "| Variable | Default | Meaning |"
    yield "|---|---|---|"
    for name, field in Settings.model_fields.items():
        also = f" Also read from `{PLATFORM_NAMES[name]}`." if name in PLATFORM_NAMES else ""
        default = _default(name, field).replace(",", ", ")
        yield f"| `{variable_of(name)}` | {f'`{default}`' if default else ''} | {field.description}{also} |"


def _environment_example() -> str:
    head = [
        "# Copy to .env, and uncomment what differs from the defaults that stand here. docs/settings.md says more.",
        "",
        "# What compose.yaml asks for; the secret for instance from: openssl rand -base64 48",
        "# POSTGRES_PASSWORD=",
        "# SECRET_KEY=",
        "# CAIRN_PUBLIC_URL=http://localhost:8080",
    ]
    rows = [
        f"\n# {field.description}\n# {variable_of(name)}={_default(name, field)}".replace("`", "")
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join([*head, *rows]) + "\n"


def _default(name: str, field: FieldInfo) -> str:
    written = dict(line.partition("  #")[0].split("=", 1) for line in lines(read_settings({}, None)))
    value = written[variable_of(name)]
    if name == "secret_key":
        return ""
    return _size(int(value)) if name.endswith(("_bytes", "_bytes_per_second")) and field.annotation is int else value


def _size(count: int) -> str:
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count and count % unit == 0:
            return f"{count // unit} {name}"
    return str(count)


def _refusals_table() -> Iterator[str]:
    yield "| Code | Kind | Status elsewhere | Details | Meaning |"
    yield "|---|---|---|---|---|"
    named = [each for module in (errors, stream_errors, upload_errors) for each in vars(module).values()]
    refusals: list[type[Refusal]] = [each for each in named if isinstance(each, type) and Refusal in each.__bases__]
    for refusal in refusals:
        own = [field.name for field in fields(refusal) if field.name not in {"message", "path"}]
        details = ", ".join(f"`{to_camel_case(name)}`" for name in own)
        yield f"| `{refusal.code}` | {refusal.kind} | {STATUS[refusal.kind]} | {details} | {_first_line(refusal)} |"


def _breaches_table() -> Iterator[str]:
    yield "| Code | Status | Meaning |"
    yield "|---|---|---|"
    named = [each for module in (bodies, envelope, negotiation, tus_heads) for each in vars(module).values()]
    breaches = {each for each in named if isinstance(each, type) and issubclass(each, EnvelopeBreach)}
    for breach in sorted(breaches, key=lambda breach: (breach.status, breach.code, breach.__name__)):
        if "code" in vars(breach):
            yield f"| `{breach.code}` | {breach.status} | {_first_line(breach)} |"


def _first_line(described: type) -> str:
    return re.split(r"\n\n", getdoc(described) or "")[0].replace("\n", " ")


def main() -> None:
    for path, text in documents().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
