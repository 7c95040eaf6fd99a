"""Requests as bytes, the same for the service and the references as far as their schemas allow."""

import json
from urllib.parse import urlsplit

from bench.load import LOCATION, Load
from bench.servers import Server

BOUNDARY = "----cairn-bench-4f1d9f0a7c"
UPLOAD = """mutation Upload($input: UploadFileInput!) {
  uploadFile(input: $input) { file { id name size mediaType digest } }
}"""
LIST = """query Files($first: Int) {
  files(first: $first) {
    edges {
      node {
        id name size mediaType declaredMediaType digest status createdAt updatedAt uploadedBy { id username }
      }
    }
  }
}"""
LISTED = 50


def upload(server: Server, size: int) -> Load:
    """An upload of `size` bytes as GraphQL multipart request."""
    operations = json.dumps({"query": UPLOAD, "variables": {"input": {"file": None}}})
    before = "".join(
        (
            _part('name="operations"', operations),
            _part('name="map"', json.dumps({"0": ["variables.input.file"]})),
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="0"; filename="notes.txt"\r\n',
            "Content-Type: text/plain\r\n\r\n",
        )
    )
    after = f"\r\n--{BOUNDARY}--\r\n"
    fields = {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(len(before) + size + len(after)),
    }
    return Load(server.port, _head("POST", "/graphql", server, fields) + before, fill=size, tail=after)


def tus(server: Server, size: int) -> Load:
    """An upload of `size` bytes by tus: created, and sent in one PATCH."""
    version = {"Tus-Resumable": "1.0.0"}
    creation = {"Upload-Length": str(size), "Upload-Metadata": "filename bm90ZXMudHh0", "Content-Length": "0"}
    fields = {
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(size),
    }
    return Load(
        server.port,
        _head("PATCH", LOCATION, server, version | fields),
        opening=_head("POST", "/uploads", server, version | creation),
        fill=size,
    )


def signed_puts(server: Server, targets: list[str], size: int) -> Load:
    """Bytes to signed URLs, `size` to each, all at once."""
    places = [urlsplit(target) for target in targets]
    fields = {"Content-Length": str(size)}
    heads = tuple(_head("PUT", f"{place.path}?{place.query}", server, fields) for place in places)
    return Load(server.port, heads=heads, fill=size, each=1)


def listing(server: Server) -> Load:
    """The list of 50 files with 10 fields and their uploaders."""
    body = json.dumps({"query": LIST, "variables": {"first": LISTED}})
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return Load(server.port, _head("POST", "/graphql", server, fields) + body)


def download(server: Server, path: str) -> Load:
    """A file by GET."""
    return Load(server.port, _head("GET", path, server, {}))


def _head(method: str, path: str, server: Server, fields: dict[str, str]) -> str:
    own = {"Host": f"127.0.0.1:{server.port}", "User-Agent": "cairn-bench", "Accept": "*/*"}
    if server.token:
        own |= {"Authorization": f"Bearer {server.token}", "Apollo-Require-Preflight": "true"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in (own | fields).items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n"


def _part(disposition: str, content: str) -> str:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n"
