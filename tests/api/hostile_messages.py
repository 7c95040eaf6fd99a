"""What hostile clients send by WebSockets, and what has to become of it."""

import struct
from collections.abc import Sequence

from tests.api.frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, Shape, frame, handshake, init, subscribe, text
from tests.asking import UPLOAD

WATCH = "subscription { fileChanged { kind } }"
WATCH_PLACE = "subscription ($id: ID!) { fileChanged(workspaceId: $id) { kind } }"
WATCH_UPLOAD = "subscription ($id: ID!) { uploadProgress(id: $id) { receivedBytes } }"
UNENDED = Shape(is_last=False)
SECRET = "of-a-secret-7719"
NEVER = {"type": "connection_init", "payload": {"authorization": f"Bearer {SECRET}"}}

HANDSHAKES: dict[str, tuple[bytes, int]] = {
    "without a key": (handshake({"Sec-WebSocket-Key": None}), 400),
    "a key that is too short": (handshake({"Sec-WebSocket-Key": "YWJj"}), 400),
    "a key that is no base64": (handshake({"Sec-WebSocket-Key": "?" * 24}), 400),
    "without a version": (handshake({"Sec-WebSocket-Version": None}), 426),
    "an old version": (handshake({"Sec-WebSocket-Version": "8"}), 426),
    "by POST": (handshake(line="POST /graphql HTTP/1.1"), 405),
    "by CONNECT": (handshake(line="CONNECT cairn.test:80 HTTP/1.1"), 405),
    "with a body": (handshake({"Content-Length": "5"}) + b"hello", 400),
    "with a chunked body": (handshake({"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n", 400),
    "by POST with a body": (handshake({"Content-Length": "5"}, "POST /graphql HTTP/1.1") + b"hello", 405),
    "a header of 9,000 bytes": (handshake({"Cookie": "a" * 9_000}), 431),
    "a header of 70,000 bytes": (handshake({"Cookie": "a" * 70_000}), 431),
    "200 headers": (handshake({f"X-{number}": "a" for number in range(200)}), 431),
    "a URL of 9,000 bytes": (handshake(line=f"GET /graphql?{'a' * 9_000} HTTP/1.1"), 414),
    "another path": (handshake(line="GET /nowhere HTTP/1.1"), 403),
    "another path with a secret": (handshake(line="GET /nowhere?ticket=of-a-secret-7719 HTTP/1.1"), 403),
    "a path that is served": (handshake(line="GET /health/live HTTP/1.1"), 403),
    "a path of no ASCII": (handshake(line="GET /graph\xe9ql HTTP/1.1"), 400),
    "no path": (handshake(line="GET * HTTP/1.1"), 403),
    "subprotocols that are no tokens": (handshake({"Sec-WebSocket-Protocol": ",, ,"}), 400),
    "a subprotocol of no ASCII": (handshake({"Sec-WebSocket-Protocol": "graphql-transport-ws, \xe9"}), 400),
    "HTTP/1.0, which has no upgrades": (handshake(line="GET /graphql HTTP/1.0"), 400),
    "another upgrade": (handshake({"Upgrade": "h2c"}), 400),
}
"""Heads, and the status of the answer; the connection ends after it."""

ENDS: dict[str, tuple[Sequence[bytes], int]] = {
    "an array": ([text([])], 4400),
    "a string": ([text('"ping"')], 4400),
    "nothing": ([text("")], 4400),
    "no JSON": ([text("{type: ping}")], 4400),
    "JSON with NaN": ([text('{"type":"ping","payload":{"a":NaN}}')], 4400),
    "deep arrays": ([text("[" * 50_000)], 4400),
    "deep objects": ([text('{"payload":' * 5_000 + "1" + "}" * 5_000)], 4400),
    "100,000 values": ([text({"type": "ping", "payload": {"a": [0] * 100_000}})], 4400),
    "a key twice": ([text('{"type":"ping","type":"ping"}')], 4400),
    "no type": ([text({"id": "1"})], 4400),
    "a number for a type": ([text({"type": 1})], 4400),
    "an empty type": ([text({"type": ""})], 4400),
    "a long type": ([text({"type": "a" * 500_000})], 4400),
    "an unknown type": ([text({"type": "start", "id": "1"})], 4400),
    "a type of the server": ([text({"type": "next", "id": "1", "payload": {}})], 4400),
    "an acknowledgement": ([text({"type": "connection_ack"})], 4400),
    "a payload that is a list": ([text({"type": "ping", "payload": []})], 4400),
    "a payload that is a string": ([text({"type": "subscribe", "id": "1", "payload": WATCH})], 4400),
    "a subscription without an id": ([text({"type": "subscribe", "payload": {"query": WATCH}})], 4400),
    "an empty id": ([subscribe("", WATCH)], 4400),
    "a long id": ([subscribe("a" * 129, WATCH)], 4400),
    "a number for an id": ([text({"type": "subscribe", "id": 1, "payload": {"query": WATCH}})], 4400),
    "half a character in an id": ([text('{"id":"\\ud800","type":"complete"}')], 4400),
    "the end of nothing": ([text({"type": "complete"})], 4400),
    "no document": ([text({"type": "subscribe", "id": "1", "payload": {}})], 4400),
    "no payload": ([text({"type": "subscribe", "id": "1"})], 4400),
    "a number for a document": ([text({"type": "subscribe", "id": "1", "payload": {"query": 1}})], 4400),
    "variables that are a list": (
        [text({"type": "subscribe", "id": "1", "payload": {"query": WATCH, "variables": []}})],
        4400,
    ),
    "a binary message": ([frame(BINARY, b'{"type":"ping"}')], 4400),
    "a second beginning": ([init("x")], 4429),
    "the same id at once": ([subscribe("1", WATCH) * 2], 4409),
    "the same id later": ([subscribe("1", WATCH), subscribe("2", WATCH), subscribe("1", "{ __typename }")], 4409),
    "what is no UTF-8": ([frame(TEXT, b"\xff\xfe")], 1007),
    "half a character in UTF-8": ([frame(TEXT, b'{"type":"ping\xed\xa0\x80"}')], 1007),
    "a character cut by the end": ([frame(TEXT, b"\xc3", UNENDED), frame(CONTINUATION)], 1007),
    "no UTF-8 and a goodbye at once": ([frame(TEXT, b"\xff") + frame(CLOSE, b"\x03\xe8")], 1000),
    "a frame of 2 MiB": ([frame(TEXT, b"", Shape(announced=1 << 21))], 1009),
    "a frame of 2^63 bytes": ([frame(TEXT, b"", Shape(announced=1 << 63))], 1009),
    "a message of 2 MiB": ([frame(TEXT, b" " * 700_000, UNENDED), frame(CONTINUATION, b" " * 700_000, UNENDED)], 1009),
    "frames without end": ([frame(TEXT, b"", UNENDED) + frame(CONTINUATION, b"", UNENDED) * 5_000], 1009),
    "pieces without end": ([frame(BINARY, b"a", UNENDED)] + [frame(CONTINUATION, b"a", UNENDED)] * 1_500, 1009),
    "an unmasked frame": ([frame(TEXT, b"{}", Shape(is_masked=False))], 1002),
    "reserved bits": ([frame(TEXT, b"{}", Shape(reserved=1))], 1002),
    "compressed, which was not agreed": ([frame(TEXT, b"\xaa\x56\x2a", Shape(reserved=4))], 1002),
    "an unknown frame": ([frame(3, b"{}")], 1002),
    "an unknown control frame": ([frame(11, b"{}")], 1002),
    "a ping of 126 bytes": ([frame(PING, bytes(126))], 1002),
    "a ping in pieces": ([frame(PING, b"a", UNENDED)], 1002),
    "the rest of nothing": ([frame(CONTINUATION, b"{}")], 1002),
    "a message inside of another": ([frame(TEXT, b"{", UNENDED), frame(TEXT, b"{}")], 1002),
    "a goodbye inside of a message": ([frame(TEXT, b"{", UNENDED), frame(CLOSE, b"\x03\xe8")], 1002),
    "a goodbye of one byte": ([frame(CLOSE, b"a")], 1002),
    "a goodbye with an unknown code": ([frame(CLOSE, struct.pack("!H", 999))], 1002),
    "a goodbye with a code that is never sent": ([frame(CLOSE, struct.pack("!H", 1006))], 1002),
    "a goodbye that is no UTF-8": ([frame(CLOSE, b"\x03\xe8\xff")], 1007),
    "a goodbye of 126 bytes": ([frame(CLOSE, b"\x03\xe8" + b"a" * 124)], 1002),
    "HTTP": ([b"GET / HTTP/1.1\r\nHost: cairn.test\r\n\r\n"], 1002),
    "messages after the goodbye": (
        [frame(CLOSE, b"\x03\xe8") + text({"type": "ping"}) + subscribe("1", WATCH), frame(PING)],
        1000,
    ),
    "two mistakes at once": ([text([]) + frame(TEXT, b"{}", Shape(is_masked=False))], 1002),
    "two messages too many": ([text([]) + text([])], 4400),
    "10,000 messages at once": ([text({"type": "complete", "id": "1"}) * 10_000], 1008),
}
"""What comes on a connection that was acknowledged, and the code that it ends with."""

BEGINNINGS: dict[str, tuple[Sequence[bytes], int]] = {
    "an operation first": ([subscribe("1", "{ __typename }")], 4401),
    "an operation in the same breath": ([subscribe("1", WATCH) + init("x")], 4401),
    "nobody": ([text({**NEVER, "payload": {"authorization": "Bearer "}})], 4403),
    "a token of nobody": ([text(NEVER)], 4403),
    "two credentials": ([text({**NEVER, "payload": {"authorization": "Bearer a", "x-api-key": "cairn_b"}})], 4403),
    "one twice": ([text({**NEVER, "payload": {"authorization": "Bearer a", "Authorization": "Bearer b"}})], 4403),
    "a list": ([text({**NEVER, "payload": {"authorization": ["Bearer a"]}})], 4403),
    "a number": ([text({**NEVER, "payload": {"x-api-key": 1}})], 4403),
    "no ASCII": ([text({**NEVER, "payload": {"authorization": "Bearer \u00e9"}})], 4403),
    "a line of its own": ([text({**NEVER, "payload": {"authorization": "Bearer a\r\nX-A: b"}})], 4403),
    "another scheme": ([text({**NEVER, "payload": {"authorization": "Basic YTpi"}})], 4403),
    "no API key": ([text({**NEVER, "payload": {"x-api-key": "of-a-secret-7719"}})], 4403),
    "1 MiB of credential": ([text({**NEVER, "payload": {"authorization": "Bearer " + "a" * 900_000}})], 4403),
    "half a character": ([text('{"type":"connection_init","payload":{"authorization":"Bearer \\ud800"}}')], 4400),
    "a list of credentials": ([text({"type": "connection_init", "payload": ["Bearer a"]})], 4400),
    "twice at once": ([init() + init()], 4429),
}
"""What comes first on a connection, and the code that it ends with."""

ERRORS: dict[str, tuple[bytes, str]] = {
    "no syntax": (subscribe("1", "subscription {"), "GRAPHQL_PARSE_FAILED"),
    "an empty document": (subscribe("1", ""), "GRAPHQL_PARSE_FAILED"),
    "an unknown field": (subscribe("1", "subscription { nope }"), "GRAPHQL_VALIDATION_FAILED"),
    "two root fields": (subscribe("1", f"{WATCH[:-1]} b: fileChanged {{ kind }} }}"), "GRAPHQL_VALIDATION_FAILED"),
    "the schema, for ever": (subscribe("1", "subscription { __schema { description } }"), "GRAPHQL_VALIDATION_FAILED"),
    "its name, for ever": (subscribe("1", "subscription { __typename }"), "GRAPHQL_VALIDATION_FAILED"),
    "a field that may be left out": (
        subscribe("1", "subscription ($a: Boolean!) { fileChanged @skip(if: $a) { kind } }", a=True),
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "too many aliases": (
        subscribe("1", "{" + " ".join(f"a{number}: viewer {{ id }}" for number in range(100)) + "}"),
        "QUERY_TOO_COMPLEX",
    ),
    "too many tokens": (subscribe("1", "{" + " id" * 5_000 + "}"), "QUERY_TOO_COMPLEX"),
    "a document of 100 KiB": (subscribe("1", "{" + " " * 100_000 + "}"), "QUERY_TOO_COMPLEX"),
    "too deep": (subscribe("1", "{" + "a{" * 50 + "b" + "}" * 51), "QUERY_TOO_COMPLEX"),
    "much too deep": (subscribe("1", "{" + "a{" * 900 + "b" + "}" * 901), "GRAPHQL_PARSE_FAILED"),
    "doubled fragments": (
        subscribe(
            "1",
            "{...A0}"
            + "".join(f"fragment A{n} on Query{{...A{n + 1} ...A{n + 1}}}" for n in range(30))
            + "fragment A30 on Query{viewer{id}}",
        ),
        "QUERY_TOO_COMPLEX",
    ),
    "a file without its bytes": (subscribe("1", UPLOAD, input={"file": None}), "BAD_USER_INPUT"),
    "a file in words": (subscribe("1", UPLOAD, input={"file": "hello"}), "BAD_USER_INPUT"),
    "a missing variable": (subscribe("1", WATCH_PLACE), "BAD_USER_INPUT"),
    "an object for an id": (subscribe("1", WATCH_PLACE, id={}), "BAD_USER_INPUT"),
    "no id of an upload": (subscribe("1", WATCH_UPLOAD, id="wsp_x"), ""),
    "no id of a workspace": (subscribe("1", WATCH_PLACE, id="\x00"), "NOT_FOUND"),
    "an operation that is not there": (
        text({"id": "1", "type": "subscribe", "payload": {"query": WATCH, "operationName": "Other"}}),
        "OPERATION_NOT_FOUND",
    ),
    "only a hash": (
        text({"id": "1", "type": "subscribe", "payload": {"extensions": {"persistedQuery": {}}}}),
        "PERSISTED_QUERY_NOT_SUPPORTED",
    ),
}
"""Messages that begin an operation of the id 1, and the code of its error; none: it has an answer."""
