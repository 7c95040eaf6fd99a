"""Documents that say what the code does not are bugs: tables, links, commands and codes are compared with it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.heads import REASONS
from api.settings import Settings
from api.variables import TEST_PREFIX, variable_of
from tests.documents import ROOT, documents

PAGES = sorted(path for pattern in ("*.md", "docs/**/*.md", "bench/*.md") for path in ROOT.glob(pattern))


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_what_the_code_dictates_stands_in_the_document(path: Path) -> None:
    assert path.read_text() == documents()[path], "run: make docs"


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_decision_is_in_the_index_and_has_its_three_parts() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text()
    for page in (ROOT / "docs/decisions").glob("0*.md"):
        parts = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequence"], page.name
        assert f"({page.name})" in index, page.name


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)", page.read_text())) <= targets, page.name


def test_every_make_target_with_a_description_is_told_to_contributors() -> None:
    described = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = (ROOT / "CONTRIBUTING.md").read_text()
    assert [target for target in described if f"`make {target}`" not in told] == []


def test_every_setting_that_is_named_exists() -> None:
    known = {variable_of(name) for name in Settings.model_fields}
    for page in [*PAGES, ROOT / "compose.yaml", ROOT / "Dockerfile", ROOT / ".env.example"]:
        named = set(re.findall(r"\bCAIRN_[A-Z_]+[A-Z]", page.read_text()))
        assert {name for name in named - known if not name.startswith(TEST_PREFIX)} == set(), page.name


def test_every_code_that_an_answer_can_have_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE))
    sources = [path for layer in ("api", "schema", "domain") for path in (ROOT / layer).rglob("*.py")]
    used = {code for path in sources for code in _codes_in(ast.parse(path.read_text()))}
    used |= {reason.decode().upper().replace(" ", "_") for reason in REASONS.values()}
    assert documented == used


def _codes_in(tree: ast.Module) -> Iterator[str]:
    """Codes as the code writes them: `code = "X"`, `{"code": "X"}`, `code="X"`, `coded(errors, "X")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id="code")], value=value):
                yield from _code(value)
            case ast.AnnAssign(target=ast.Name(id="code"), value=ast.expr() as value):
                yield from _code(value)
            case ast.Dict(keys=[*keys], values=[*values]):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "code":
                        yield from _code(value)
            case ast.Call(func=ast.Name(id="coded" | "problem"), args=[_, second, *_]):
                yield from _code(second)
            case ast.keyword(arg="code", value=value):
                yield from _code(value)


def _code(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
