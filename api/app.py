"""The application, wired: the only place that knows every part."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Scope

from api.credentials import Authenticator, address_of
from api.deadlines import Deadlines
from api.envelope import EnvelopeLimits
from api.gate import Gate
from api.graphiql import FILES_PATH, GraphiqlFiles, graphiql_response
from api.graphql import GraphQLEndpoint, refusal_response
from api.health import Health, Part, health_routes
from api.key_set import key_set_route
from api.key_uses import KeyUses
from api.limits import Counting, RequestLimits
from api.logs import get_logger
from api.mail import mailer_of, warn_if_off
from api.parting import Parting
from api.ports import SystemClock, SystemRandomness, ThreadedHasher
from api.problems import problem, problem_response
from api.recorder import DownloadRecorder
from api.requests import Requests
from api.seals import AesSealer
from api.secrets import SEALS, SIGNED_URLS, derive_key, secrets_of, token_keys
from api.settings import Settings
from api.transfers import Asking, Transfers
from api.worker import Worker
from db.engine import Database
from db.models import MailTokenPurpose
from db.rates import RateCounter
from db.redis import RedisLink
from domain import api_keys, mail_tokens, sessions
from domain.blobs import sweep
from domain.errors import RateLimited
from domain.events import RequestFacts
from domain.jobs import JobKind, JobKinds
from domain.mails import MAIL_JOB, send_mail
from domain.password_resets import RESET_JOB, send_reset
from domain.policy import (
    KeyPolicy,
    Limit,
    MailTokenLifetimes,
    Rates,
    SessionPolicy,
    UploadPolicy,
    WorkspacePolicy,
)
from domain.ports import Ports
from domain.purges import sweep_workspaces
from domain.signatures import Signer
from domain.tokens import TokenIssuer
from domain.viewer import Viewer
from schema.answers import MASKED
from schema.context import Context
from schema.execution import Executor
from schema.loaders import Loaders
from schema.pricing import QueryLimits
from schema.schema import build_schema
from storage.disk import DiskStore

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
]
CORS_SECONDS = 600
SWEEP_END_SECONDS = 5
WORKER_END_SECONDS = 5
MAIL_ATTEMPTS = 15
MAIL_SECONDS = 300
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What lives as long as the application."""

    db: Database
    store: DiskStore
    redis: RedisLink | None
    hasher: ThreadedHasher
    ports: Ports
    recorder: DownloadRecorder
    authenticator: Authenticator


def create_app(settings: Settings) -> ASGIApp:
    """The whole service as one ASGI application. Raises SettingsError when no secret can be had."""
    parts = parts_of(settings)
    app = Starlette(
        routes=[
            Route(GRAPHQL_PATH, _graphql(settings, parts)),
            Mount(FILES_PATH, GraphiqlFiles(WEB_DIST)),
            *Transfers(parts.db, parts.store, parts.ports, parts.recorder, _asking(parts)).routes(),
            *health_routes(_health(parts)),
            key_set_route(parts.ports.tokens),
        ],
        exception_handlers={HTTPException: _not_served, Exception: _fault},
        lifespan=_lifespan(settings, parts),
    )
    app.router.redirect_slashes = False
    return _around(app, settings, parts)


def parts_of(settings: Settings) -> Parts:
    """Everything but the HTTP around it; nothing is connected yet. Raises SettingsError when no secret can be had."""
    given = secrets_of(settings)
    redis = RedisLink(settings.redis_url) if settings.redis_url else None
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    clock = SystemClock()
    hasher = ThreadedHasher(settings.hashing_threads, settings.hashing_queue)
    store = DiskStore(settings.data_folder, floor_bytes=settings.disk_floor_bytes, lease_seconds=settings.lease_seconds)
    ports = Ports(
        clock=clock,
        randomness=SystemRandomness(),
        hasher=hasher,
        mailer=mailer_of(settings, clock),
        sealer=AesSealer(tuple(derive_key(secret, SEALS) for secret in given)),
        tokens=TokenIssuer(
            token_keys(settings, given), settings.public_url, timedelta(seconds=settings.access_token_seconds)
        ),
        signer=_signer(given),
        policy=UploadPolicy(
            maximum_file_bytes=settings.maximum_file_bytes,
            maximum_files=settings.maximum_files,
            allowed_extensions=settings.allowed_extensions,
            blocked_extensions=settings.blocked_extensions,
        ),
        workspace_policy=WorkspacePolicy(
            quota_bytes=settings.workspace_quota_bytes,
            invitation_lifetime=timedelta(seconds=settings.invitation_seconds),
        ),
        session_policy=SessionPolicy(
            idle=timedelta(seconds=settings.refresh_token_seconds), maximum=timedelta(seconds=settings.session_seconds)
        ),
        key_policy=KeyPolicy(settings.maximum_api_keys),
        mail_token_lifetimes=_mail_token_lifetimes(settings),
        limiter=RateCounter(redis),
        rates=_rates(settings),
        public_url=settings.public_url,
        store_name=store.name,
    )
    authenticator = Authenticator(db, ports, KeyUses.into(db, clock))
    return Parts(db, store, redis, hasher, ports, DownloadRecorder.into(db, clock), authenticator)


def worker_of(parts: Parts) -> Worker:
    """Whoever does the jobs of this service; `run` has to be called."""
    send = JobKind(
        MAIL_JOB,
        partial(send_mail, parts.ports),
        maximum_attempts=MAIL_ATTEMPTS,  # over some six hours: what the mail says is not good for much longer
        timeout_seconds=MAIL_SECONDS,
        is_secret=True,
    )
    reset = JobKind(RESET_JOB, partial(send_reset, parts.db, parts.ports), is_secret=True)
    return Worker(parts.db, parts.ports.clock, JobKinds((send, reset)))


def _mail_token_lifetimes(settings: Settings) -> MailTokenLifetimes:
    return {purpose: timedelta(seconds=getattr(settings, f"{purpose.lower()}_seconds")) for purpose in MailTokenPurpose}


def _signer(given: tuple[bytes, ...]) -> Signer:
    newest, *older = (derive_key(secret, SIGNED_URLS) for secret in given)
    return Signer(newest, tuple(older))


def _graphql(settings: Settings, parts: Parts) -> GraphQLEndpoint:
    executor = Executor(build_schema(), _query_limits(settings), _report, introspection=settings.introspection)

    def make_context(viewer: Viewer, facts: RequestFacts) -> Context:
        return Context(
            viewer=viewer,
            request=facts,
            db=parts.db,
            store=parts.store,
            ports=parts.ports,
            loaders=Loaders(parts.db, viewer, parts.ports.clock),
        )

    return GraphQLEndpoint(
        executor=executor,
        gate=Gate(executor, parts.db, parts.store, parts.ports, _envelope_limits(settings)),
        authenticate=parts.authenticator.viewer_of,
        counting=Counting(parts.ports, _facts_of),
        facts_of=_facts_of,
        make_context=make_context,
        report=_report,
        page=(lambda: graphiql_response(WEB_DIST, settings.public_url)) if settings.graphiql else None,
        body_bytes=settings.maximum_operations_bytes,
    )


def _asking(parts: Parts) -> Asking:
    return Asking(parts.authenticator, Counting(parts.ports, _facts_of))


def _facts_of(scope: Scope) -> RequestFacts:
    request_id = scope.get("state", {}).get("request_id")
    return RequestFacts(request_id, address_of(scope), Headers(scope=scope).get("user-agent"))


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


def _rates(settings: Settings) -> Rates:
    limits = Limit if settings.rate_limits else ()
    return {limit: getattr(settings, limit.replace("-", "_")) for limit in limits}


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
    app = RequestLimits(app, parts.ports, _facts_of, _too_many)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],
            expose_headers=CORS_EXPOSED,
            max_age=CORS_SECONDS,
        )
    app = Deadlines(app, settings.stall_seconds)
    app = Parting(app, settings.discard_seconds, settings.discard_bytes)
    is_https = settings.public_url.startswith("https:")
    return Requests(app, trusted_proxies=settings.trusted_proxies, is_https=is_https)


def _lifespan(settings: Settings, parts: Parts) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            closing.callback(parts.hasher.close)
            closing.push_async_callback(parts.db.close)
            if parts.redis:
                closing.push_async_callback(parts.redis.close)
            await parts.store.open()
            closing.push_async_callback(parts.store.close)
            closing.push_async_callback(parts.recorder.close)
            closing.push_async_callback(parts.authenticator.key_uses.close)
            stopping = asyncio.Event()
            sweeping = asyncio.create_task(_sweep_until(stopping, parts, settings.lease_seconds))
            closing.push_async_callback(_end, sweeping)
            closing.callback(stopping.set)
            warn_if_off(settings)
            if settings.worker:
                worker = worker_of(parts)
                working = asyncio.create_task(worker.run(WORKER_END_SECONDS))
                closing.push_async_callback(asyncio.wait, {working})
                closing.callback(worker.stop)
            yield

    return lifespan


async def _sweep_until(stopping: asyncio.Event, parts: Parts, lease_seconds: float) -> None:
    while not stopping.is_set():
        await _attempted(sweep_workspaces(parts.db, parts.store, parts.ports.clock.now()))
        await _attempted(sweep(parts.db, parts.store, parts.ports.clock.now()))
        await _attempted(sessions.sweep(parts.db, parts.ports.clock.now()))
        await _attempted(api_keys.sweep(parts.db, parts.ports.clock.now()))
        await _attempted(mail_tokens.sweep(parts.db, parts.ports.clock.now()))
        with suppress(TimeoutError):
            async with asyncio.timeout(lease_seconds):
                await stopping.wait()


async def _attempted(sweeping: Awaitable[None]) -> None:
    try:
        await sweeping
    except Exception:  # noqa: BLE001 - whatever it is, the next round may do better
        _log.exception("sweep failed")


async def _end(sweeping: asyncio.Task[None]) -> None:
    # Cancelled only when it takes too long: a connection that is being opened just then is lost without being closed.
    await asyncio.wait({sweeping}, timeout=SWEEP_END_SECONDS)
    sweeping.cancel()
    await asyncio.wait({sweeping}, timeout=SWEEP_END_SECONDS)


def _too_many(refusal: RateLimited, scope: Scope) -> Response:
    if scope["path"] == GRAPHQL_PATH:
        return refusal_response(refusal, scope)
    return problem_response(refusal, scope["state"]["request_id"])


async def _not_served(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = "NOT_FOUND" if status == HTTPStatus.NOT_FOUND else HTTPStatus(status).phrase.upper().replace(" ", "_")
    response = problem(status, code, "Nothing is served here.", request.state.request_id)
    response.headers.update((isinstance(error, HTTPException) and error.headers) or {})
    return response


async def _fault(request: Request, _error: Exception) -> Response:
    return problem(500, "INTERNAL", MASKED, request.state.request_id)


def _report(error: BaseException) -> None:
    _log.error("fault", exc_info=error)
