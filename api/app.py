"""The application, wired: the only place that knows every part and every route."""

from functools import partial
from pathlib import Path

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Scope

from api.asking import Asking, facts_of
from api.deadlines import Deadlines
from api.envelope import EnvelopeLimits
from api.faults import Faults
from api.gate import Gate
from api.graphiql import FILES_PATH, GraphiqlFiles, graphiql_response
from api.graphql import GraphQLEndpoint, refusal_response
from api.guards import Guard
from api.health import Health, Part, health_routes
from api.key_set import key_set_route
from api.lifespan import lifespan_of
from api.limits import Counting, RequestLimits
from api.logs import get_logger, tell_fault
from api.metrics import Metrics
from api.operations import Operations
from api.parting import Parting
from api.parts import Parts, parts_of
from api.problems import problem_response
from api.requests import Requests
from api.scrapes import Scrapes
from api.settings import Settings
from api.signed_uploads import SignedUploads
from api.transfers import Transfers
from api.tus import TUS_HEADERS, Tus
from api.websocket import GraphQLSockets, SocketLimits
from domain.analytics_answers import Statistics
from domain.errors import RateLimited
from domain.events import RequestFacts
from domain.viewer import Viewer
from schema.context import Context
from schema.execution import Executor
from schema.loaders import Loaders
from schema.pricing import QueryLimits
from schema.schema import build_schema

WEB_DIST = Path(__file__).parent.parent / "web" / "dist"
GRAPHQL_PATH = "/graphql"
CORS_EXPOSED = [
    "X-Request-ID",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "ETag",
    "Content-Disposition",
    "Content-Range",
    *TUS_HEADERS,
]
CORS_SECONDS = 600
_log = get_logger(__name__)


def create_app(settings: Settings, parts: Parts | None = None) -> ASGIApp:
    """The whole service as one ASGI application. Raises SettingsError when no secret can be had.

    Whoever wants to see what becomes of its parts makes them beforehand.
    """
    parts = parts or parts_of(settings)
    asking = Asking(parts.authenticator, Counting(parts.ports, facts_of))
    operations = _operations(settings, parts)
    guard, report = partial(Guard, parts.db.bus), partial(_report, parts.metrics)
    limits = SocketLimits(settings.maximum_subscriptions, settings.stall_seconds)
    routes = Router(
        [
            # First, as they are asked for most, and a request is compared with one route after the other.
            *Transfers(parts.db, parts.store, parts.ports, parts.recorder, asking).routes(),
            Route(GRAPHQL_PATH, _graphql(settings, parts, operations)),
            WebSocketRoute(
                GRAPHQL_PATH,
                GraphQLSockets(operations, parts.authenticator.standing_by, guard, parts.streams, report, limits),
            ),
            Mount(FILES_PATH, GraphiqlFiles(WEB_DIST)),
            *Tus(parts.backends, asking).routes(),
            *SignedUploads(parts.backends).routes(),
            *health_routes(_health(parts)),
            key_set_route(parts.ports.tokens),
            *([Scrapes.of(settings, parts).route()] if _are_metrics_here(settings) else []),
        ],
        redirect_slashes=False,
        lifespan=lifespan_of(settings, parts),
    )
    return _around(routes, settings, parts)


def _operations(settings: Settings, parts: Parts) -> Operations:
    report = partial(_report, parts.metrics)
    statistics = Statistics(parts.cache, settings.analytics_cache_seconds)
    executor = Executor(build_schema(), _query_limits(settings), report, introspection=settings.introspection)

    def make_context(viewer: Viewer, facts: RequestFacts) -> Context:
        return Context(
            viewer=viewer,
            request=facts,
            db=parts.db,
            store=parts.store,
            ports=parts.ports,
            loaders=Loaders(parts.db, viewer, parts.ports.clock),
            statistics=statistics,
        )

    return Operations(executor, Counting(parts.ports, facts_of), facts_of, make_context, parts.metrics)


def _graphql(settings: Settings, parts: Parts, operations: Operations) -> GraphQLEndpoint:
    return GraphQLEndpoint(
        operations=operations,
        gate=Gate(operations.executor, parts.backends, _envelope_limits(settings)),
        identify=parts.authenticator.standing_of,
        guard=partial(Guard, parts.db.bus),
        streams=parts.streams,
        report=partial(_report, parts.metrics),
        page=(lambda: graphiql_response(WEB_DIST, settings.public_url)) if settings.graphiql else None,
        body_bytes=settings.maximum_operations_bytes,
    )


def _query_limits(settings: Settings) -> QueryLimits:
    return QueryLimits(
        bytes=settings.query_bytes,
        tokens=settings.query_tokens,
        depth=settings.query_depth,
        fields=settings.query_fields,
        aliases=settings.query_aliases,
        directives=settings.query_directives,
        cost=settings.query_cost,
    )


def _envelope_limits(settings: Settings) -> EnvelopeLimits:
    return EnvelopeLimits(
        request_bytes=settings.maximum_request_bytes,
        operations_bytes=settings.maximum_operations_bytes,
        map_bytes=settings.maximum_map_bytes,
    )


def _health(parts: Parts) -> Health:
    redis = Part(parts.redis.ping if parts.redis else None, is_required=False)
    return Health({"database": Part(parts.db.check), "store": Part(parts.store.check), "redis": redis})


def _around(app: ASGIApp, settings: Settings, parts: Parts) -> ASGIApp:
    """The application inside what every request passes through, from the inside out."""
    app = RequestLimits(Faults(app, parts.metrics), parts.ports, facts_of, _too_many)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=CORS_EXPOSED,
            max_age=CORS_SECONDS,
        )
    app = Deadlines(app, settings.stall_seconds)
    app = Parting(app, settings.discard_seconds, settings.discard_bytes)
    is_https = settings.public_url.startswith("https:")
    return Requests(app, parts.metrics, trusted_proxies=settings.trusted_proxies, is_https=is_https)


def _are_metrics_here(settings: Settings) -> bool:
    """Not where they have a port of their own; and not open to everybody, unless this is some developer's machine.

    And not of any of several processes: whoever asks would not know which.
    """
    is_guarded = settings.metrics_token is not None or settings.environment == "development"
    return settings.metrics_port is None and settings.processes == 1 and is_guarded


def _too_many(refusal: RateLimited, scope: Scope) -> Response:
    if scope["path"] == GRAPHQL_PATH:
        return refusal_response(refusal, scope)
    return problem_response(refusal, scope["state"]["request_id"])


def _report(metrics: Metrics, error: BaseException) -> None:
    metrics.faulted()
    tell_fault(_log, "fault", error)
