"""The routes of the application, inside everything that every request passes through."""

from typing import Any

from starlette.routing import Router
from starlette.types import ASGIApp


def router_of(app: ASGIApp) -> Router:
    """What knows the routes."""
    inner: Any = app
    while not isinstance(inner, Router):
        inner = inner.app if hasattr(inner, "app") else inner._app
    return inner
