"""`map` against the operation: which paths lead to an upload, and which are refused."""

from typing import Any

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, build_schema, parse

from api.envelope import EnvelopeBreach, MapInvalid, RequestTooLarge
from api.upload_map import Operation, find_places, read_map
from schema.variable_uses import variable_uses

SCHEMA = build_schema(
    """
    scalar Upload
    input One { file: Upload!, name: String, more: Many, aside: Upload }
    input Many { files: [One!]!, matrix: [[Upload]] }
    type Query { a: Int }
    type Mutation { one(input: One): Int, many(input: Many, file: Upload, files: [Upload!]): Int }
    """
)
MUTATION = "mutation ($one: One, $many: Many, $file: Upload, $files: [Upload!]!, $name: String) "
FIELDS = "{ one(input: $one) many(input: $many, file: $file, files: $files) }"


def operation(text: str = MUTATION + FIELDS) -> Operation:
    document = parse(text)
    [definition] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    return Operation(SCHEMA, definition, variable_uses(definition, fragments))


def places(variables: dict[str, Any], *paths: str, text: str = MUTATION + FIELDS, maximum: int = 10) -> list[str]:
    found = find_places(operation(text), variables, {"0": list(paths)}, maximum)
    for index, place in enumerate(found):
        place.fill(index)
    return [place.path for place in found]


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"file": None}, "variables.file"),
        ({"files": [None]}, "variables.files.0"),
        ({"one": {"file": None}}, "variables.one.file"),
        ({"many": {"files": [{}, {"file": None}]}}, "variables.many.files.1.file"),
        ({"many": {"matrix": [[], [None, None]]}}, "variables.many.matrix.1.1"),
        ({"one": {"more": {"files": [{"aside": None}]}}}, "variables.one.more.files.0.aside"),
    ],
)
def test_a_path_to_a_null_upload_is_found_and_filled(variables: dict[str, Any], path: str) -> None:
    assert places(variables, path) == [path]
    assert "0" in str(variables)
    assert str(variables).count("None") == (1 if "matrix" in str(variables) else 0)


@pytest.mark.parametrize(
    ("variables", "path", "message"),
    [
        ({"file": None}, "file", "does not begin with"),
        ({"file": None}, "variables", "does not begin with"),
        ({"file": None}, "", "does not begin with"),
        ({"file": None}, "Variables.file", "does not begin with"),
        ({"file": None}, "operations.variables.file", "does not begin with"),
        ({"file": None}, "0.variables.file", "does not begin with"),
        ({"file": None}, "variables.", "leads nowhere"),
        ({"file": None}, ".variables.file", "does not begin with"),
        ({"file": None}, "variables.other", "leads nowhere"),
        ({"other": None}, "variables.other", "leads nowhere"),
        ({}, "variables.file", "leads nowhere"),
        ({"file": None}, "variables.file.0", "leads nowhere"),
        ({"file": None}, "variables.file.", "leads nowhere"),
        ({"files": None}, "variables.files", "does not lead to an upload"),
        ({"files": None}, "variables.files.0", "leads nowhere"),
        ({"files": [None]}, "variables.files.1", "leads nowhere"),
        ({"files": [None]}, "variables.files.-1", "leads nowhere"),
        ({"files": [None]}, "variables.files.00", "leads nowhere"),
        ({"files": [None]}, "variables.files.+0", "leads nowhere"),
        ({"files": [None]}, "variables.files.0x0", "leads nowhere"),
        ({"files": [None]}, "variables.files.\N{ARABIC-INDIC DIGIT ZERO}", "leads nowhere"),
        ({"files": [None]}, "variables.files." + "9" * 5000, "leads nowhere"),
        ({"files": [None]}, "variables.files.length", "leads nowhere"),
        ({"files": {"0": None}}, "variables.files.0", "leads nowhere"),
        ({"one": [None]}, "variables.one.0", "leads nowhere"),
        ({"one": None}, "variables.one", "does not lead to an upload"),
        ({"one": {}}, "variables.one.file", "leads nowhere"),
        ({"one": {"other": None}}, "variables.one.other", "leads nowhere"),
        ({"one": {"__class__": None}}, "variables.one.__class__", "leads nowhere"),
        ({"one": {"name": None}}, "variables.one.name", "does not lead to an upload"),
        ({"name": None}, "variables.name", "does not lead to an upload"),
        ({"one": "text"}, "variables.one.file", "leads nowhere"),
        ({"one": {"file": "text"}}, "variables.one.file", "must be null"),
        ({"file": False}, "variables.file", "must be null"),
        ({"file": {}}, "variables.file", "must be null"),
        ({"file": 0}, "variables.file", "must be null"),
        ({"many": {"matrix": [None]}}, "variables.many.matrix.0", "does not lead to an upload"),
    ],
)
def test_any_other_path_is_refused(variables: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(MapInvalid, match=message):
        places(variables, path)


def test_a_position_is_named_once() -> None:
    with pytest.raises(MapInvalid, match=r"variables.file twice"):
        places({"file": None}, "variables.file", "variables.file")
    with pytest.raises(MapInvalid, match="twice"):
        find_places(operation(), {"file": None}, {"a": ["variables.file"], "b": ["variables.file"]}, 10)


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("mutation ($file: Upload) { a: many(file: $file) b: many(file: $file) }", 2),
        ("mutation ($file: Upload) { many(file: $file) @include(if: $file) }", 2),
        ("mutation ($file: Upload) { many(files: [$file, $file]) }", 2),
        ("mutation ($file: Upload) { ...a ...a } fragment a on Mutation { many(file: $file) }", 2),
        ("mutation ($file: Upload) { ...a many(file: $file) } fragment a on Mutation { many(file: $file) }", 2),
        (
            """mutation ($file: Upload) { ...a ...a } fragment a on Mutation { ...b ...b }
            fragment b on Mutation { ... on Mutation { many(file: $file) } }""",
            4,
        ),
        ("mutation ($file: Upload) @a(b: $file) { many(file: $file) }", 2),
        ("mutation ($file: Upload) { ...a } fragment a on Mutation @a(b: $file) { many(file: $file) }", 2),
        ("mutation ($file: Upload) { many }", 0),
    ],
)
def test_a_variable_with_a_file_is_used_exactly_once(text: str, times: int) -> None:
    with pytest.raises(MapInvalid, match=f"is used {times} times"):
        places({"file": None}, "variables.file", text=text)


def test_one_use_through_fragments_is_one_use() -> None:
    text = (
        "mutation ($file: Upload) { ...a } fragment a on Mutation { ...b } fragment b on Mutation { many(file: $file) }"
    )
    assert places({"file": None}, "variables.file", text=text)


def test_uses_are_counted_without_expanding_doubled_fragments() -> None:
    chain = "".join(f"fragment f{n} on Mutation {{ ...f{n + 1} ...f{n + 1} }} " for n in range(60))
    text = "mutation ($file: Upload) { ...f0 } " + chain + "fragment f60 on Mutation { many(file: $file) }"
    with pytest.raises(MapInvalid, match=f"is used {2**60} times"):
        places({"file": None}, "variables.file", text=text)


def test_an_operation_without_variables_has_no_places() -> None:
    assert places({}, text="mutation { many }") == []
    with pytest.raises(MapInvalid, match="leads nowhere"):
        places({"file": None}, "variables.file", text="mutation { many }")


def test_files_are_counted_by_position() -> None:
    paths = [f"variables.files.{index}" for index in range(3)]
    assert places({"files": [None] * 3}, *paths, maximum=3) == paths
    with pytest.raises(RequestTooLarge, match="names 3 files; 2 are allowed"):
        places({"files": [None] * 3}, *paths, maximum=2)


def test_a_map_gives_every_part_its_paths() -> None:
    assert read_map(b'{"0": ["variables.a"], "1": ["b", "c"]}') == {"0": ["variables.a"], "1": ["b", "c"]}
    assert read_map(b"{}") == {}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"0"',
        b"7",
        b"{",
        b"{}{}",
        b'{"0": null}',
        b'{"0": []}',
        b'{"0": "variables.file"}',
        b'{"0": {"0": "variables.file"}}',
        b'{"0": [null]}',
        b'{"0": [0]}',
        b'{"0": [["variables.file"]]}',
        b'{"0": ["variables.file"], "0": ["variables.other"]}',
        b'{"\xff": ["variables.file"]}',
        b'{"0": ["\\ud800"]}',
        b'{"0": NaN}',
        b"[" * 20_000,
        b'{"a":' * 20_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"a":' * 1010 + b"1" + b"}" * 1010,
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
    ],
)
def test_any_other_map_is_refused(raw: bytes) -> None:
    with pytest.raises(EnvelopeBreach, match=r"(?i)map"):
        read_map(raw)
