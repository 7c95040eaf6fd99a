"""GraphiQL, as `web/` builds it: the page for a browser's GET and the files that the page loads.

No file comes from another host, so the page works without internet and under a policy that lets it talk to us alone.
Without a build (no Node.js on this machine) the API works all the same, and the page says what is missing.
"""

import os
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

FILES_PATH = "/graphiql"
"""Where the page looks for its files, beside `/graphql`: `assetsDir` in web/vite.config.ts."""

_YEAR_SECONDS = 31_536_000

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "worker-src": "'self'",
    "connect-src": "'self'",
    # Monaco writes colours into <style> elements and lines into style attributes: neither shows without this.
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",  # Monaco's squiggles
    "font-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
}

PAGE_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{directive} {sources}" for directive, sources in _POLICY.items()),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}

_NOT_BUILT = """<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>Cairn</title>
  <h1>Cairn is running</h1>
  <p>GraphiQL has not been built on this machine: install Node.js 20.19 or newer, type
  <code>npm ci &amp;&amp; npm run build</code> in the folder <code>web</code>, and load this page again.</p>
  <p>The API needs none of that. From a shell:</p>
  <pre>curl {url}/graphql -H 'Content-Type: application/json' \\
  -d '{{"query": "{{ viewer {{ username }} }}"}}'</pre>
</html>
"""


def graphiql_response(dist: Path, public_url: str) -> Response:
    """The page, built into `dist`; without a build a page that says how to get one, also with 200: the API is there."""
    try:
        page = (dist / "index.html").read_text(encoding="utf-8")
    except FileNotFoundError:
        page = _NOT_BUILT.format(url=escape(public_url))
    return HTMLResponse(page, headers=PAGE_HEADERS)


class GraphiqlFiles(StaticFiles):
    """The page's files, to be mounted at `FILES_PATH`: named after their content, so that a browser keeps them.

    A name that is not there, a folder and a path that leads out are 404 (an `HTTPException`), other methods 405.
    """

    def __init__(self, dist: Path) -> None:
        super().__init__(directory=dist / FILES_PATH.removeprefix("/"), check_dir=False)

    async def check_config(self) -> None:
        """Accept that there is no build: then every name is simply not there."""

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Answer with a file, to be kept for a year."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = f"public, max-age={_YEAR_SECONDS}, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
