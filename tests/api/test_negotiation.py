from itertools import product

import pytest
from starlette.datastructures import Headers

from api.envelope import EnvelopeBreach, MediaTypeUnsupported
from api.negotiation import (
    PREFLIGHT_HEADERS,
    AnswerType,
    BodyType,
    EncodingUnsupported,
    NothingAcceptable,
    PreflightMissing,
    answer_type,
    body_type,
    check_preflight,
)

GRAPHQL, JSON, PAGE = AnswerType.GRAPHQL, AnswerType.JSON, AnswerType.PAGE
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("application/graphql-response+json", GRAPHQL),
        ("application/graphql-response+json,application/json;q=0.9", GRAPHQL),
        ("application/json;q=0.9 , application/graphql-response+json ; q=0.8", JSON),
        ("application/graphql-response+json, application/json", GRAPHQL),
        ("application/json, application/graphql-response+json", GRAPHQL),
        ("application/graphql-response+json;q=0.5, */*", JSON),
        ("application/graphql-response+json;q=0, */*;q=0.1", JSON),
        ("application/json;q=0, */*, application/graphql-response+json;q=0.001", GRAPHQL),
        ("application/graphql-response+json;q=7, application/json", JSON),
        ("application/graphql-response+json;q=, application/json", JSON),
        ("application/json;q=0.2, application/json;q=0.7, application/graphql-response+json;q=0.5", JSON),
        (URQL, GRAPHQL),
        (BROWSER, JSON),
        ("," * 1000 + "application/graphql-response+json, application/json;q=0.9, *;;=", None),
    ],
)
def test_an_answer_has_the_type_that_the_client_likes_best(accept: str | None, expected: AnswerType | None) -> None:
    if expected is None:
        with pytest.raises(NothingAcceptable):
            answer_type(accept)
    else:
        assert answer_type(accept) is expected


def test_a_browser_gets_the_page_where_there_is_one() -> None:
    assert answer_type(BROWSER, page=True) is PAGE
    assert answer_type("*/*", page=True) is JSON
    assert answer_type("text/*, application/json;q=0.1", page=True) is JSON
    assert answer_type("text/html;q=0.5, application/json", page=True) is JSON
    assert answer_type("text/html, application/json", page=True) is JSON


@pytest.mark.parametrize("accept", ["text/plain", "text/html", "garbage", "application/json;q=0", "image/*", "*/*;q=0"])
def test_who_takes_nothing_that_there_is_is_told(accept: str) -> None:
    with pytest.raises(NothingAcceptable) as caught:
        answer_type(accept)
    assert (caught.value.status, caught.value.code) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", BodyType.JSON),
        (" Application/JSON ; Charset=UTF-8", BodyType.JSON),
        ('application/json; charset="utf-8"', BodyType.JSON),
        ("application/json; odata=verbose", BodyType.JSON),
        ("multipart/form-data; boundary=x", BodyType.MULTIPART),
    ],
)
def test_a_body_is_json_or_multipart(content_type: str, expected: BodyType) -> None:
    assert body_type([content_type], None) is expected
    assert body_type([content_type], "identity") is expected


@pytest.mark.parametrize(
    "content_types",
    [
        [],
        [""],
        ["text/plain"],
        ["text/plain; application/json"],
        ["application/json, text/plain"],
        ["application/graphql"],
        ["application/x-www-form-urlencoded"],
        ["application/json; charset=utf-16"],
        ["application/json; charset=latin-1"],
        ["application/json", "application/json"],
        ["application/jsonp"],
    ],
)
def test_other_bodies_are_not_read(content_types: list[str]) -> None:
    with pytest.raises(MediaTypeUnsupported) as caught:
        body_type(content_types, None)
    assert caught.value.status == 415


@pytest.mark.parametrize(("encoding", "content_type"), list(product(["gzip", "br", "identity, gzip"], list(BodyType))))
def test_compressed_bodies_are_not_read(encoding: str, content_type: str) -> None:
    with pytest.raises(EncodingUnsupported) as caught:
        body_type([content_type], encoding)
    assert caught.value.headers == {"accept-encoding": "identity"}


@pytest.mark.parametrize("name", PREFLIGHT_HEADERS)
def test_a_header_that_browsers_ask_about_lets_a_multipart_request_through(name: str) -> None:
    check_preflight(Headers({name.title(): "1"}))


def test_a_multipart_request_that_a_form_could_send_is_refused() -> None:
    with pytest.raises(PreflightMissing) as caught:
        check_preflight(Headers({"content-type": "multipart/form-data", "accept": "*/*"}))
    assert caught.value.status == 403
    assert isinstance(caught.value, EnvelopeBreach)
