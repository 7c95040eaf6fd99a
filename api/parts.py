"""What lives as long as the application, made of the settings: the database, the store, and what the rules need."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from api import policies
from api.credentials import Authenticator
from api.key_uses import KeyUses
from api.mail import mailer_of
from api.metrics import Metrics
from api.ports import SystemClock, SystemRandomness, ThreadedHasher
from api.recorder import DownloadRecorder
from api.samples import Samples
from api.seals import AesSealer
from api.secrets import SEALS, SIGNED_URLS, derive_key, secrets_of, token_keys
from api.settings import Settings
from api.streams import Streams
from api.worker import Worker
from db.bus import Carrier
from db.cache import Cache
from db.engine import Database
from db.postgres_carrier import PostgresCarrier
from db.rates import RateCounter
from db.redis import RedisLink
from db.redis_carrier import RedisCarrier
from db.rows import JobRow
from domain.analytics_export_jobs import export_by_job
from domain.analytics_exports import EXPORT_JOB
from domain.backends import Backends
from domain.completions import VERIFY_JOB, verify_by_job
from domain.jobs import JobKind, JobKinds
from domain.mails import MAIL_JOB, send_mail
from domain.password_resets import RESET_JOB, send_reset
from domain.passwords import MEMORY_BYTES
from domain.policy import KeyPolicy, StoragePolicy
from domain.ports import Ports
from domain.scrubs import SCRUB_JOB, scrub_by_job
from domain.signatures import Signer
from domain.storage_check_jobs import CHECK_JOB, check_by_job
from domain.tokens import TokenIssuer
from storage.disk import DiskStore

MAIL_ATTEMPTS = 15
MAIL_SECONDS = 300
VERIFY_SECONDS = 3600
"""Enough to read the largest files from a slow disk."""
EXPORT_SECONDS = 3600
"""Enough to read of millions of users."""
STORE_SECONDS = 30 * 24 * 3600
"""Enough to read all of them."""


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
    carriers: Sequence[Carrier]
    streams: Streams
    storage_policy: StoragePolicy
    cache: Cache
    metrics: Metrics

    @property
    def backends(self) -> Backends:
        """What work with bytes and rows alike is done with."""
        return Backends(self.db, self.store, self.ports)

    @property
    def samples(self) -> Samples:
        """What `/metrics` looks at when somebody asks."""
        return Samples(self.db, self.store, self.redis, self.cache, self.streams, self.ports.clock)


def parts_of(settings: Settings, hashing_bytes: int = MEMORY_BYTES) -> Parts:
    """Everything but the HTTP around it; nothing is connected yet. Raises SettingsError when no secret can be had.

    `hashing_bytes` is the memory that a password's hash takes: no setting, since less is for tests alone.
    """
    given = secrets_of(settings)
    redis = RedisLink(settings.redis_url) if settings.redis_url else None
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    clock = SystemClock()
    metrics = Metrics()
    hasher = ThreadedHasher(settings.hashing_threads, settings.hashing_queue, hashing_bytes)
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
        policy=policies.upload_policy(settings),
        workspace_policy=policies.workspace_policy(settings),
        upload_sessions=policies.upload_session_policy(settings),
        session_policy=policies.session_policy(settings),
        key_policy=KeyPolicy(settings.maximum_api_keys),
        mail_token_lifetimes=policies.mail_token_lifetimes(settings),
        limiter=RateCounter(redis),
        rates=policies.rates(settings),
        meter=metrics,
        public_url=settings.public_url,
        store_name=store.name,
    )
    return Parts(
        db=db,
        store=store,
        redis=redis,
        hasher=hasher,
        ports=ports,
        recorder=DownloadRecorder.into(db, clock),
        authenticator=Authenticator(db, ports, KeyUses.into(db, clock)),
        carriers=_carriers(settings.database_url, redis),
        streams=Streams(settings.maximum_streams),
        storage_policy=policies.storage_policy(settings),
        cache=Cache(redis, observe=metrics.cache_asked),
        metrics=metrics,
    )


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
    verify = JobKind(VERIFY_JOB, partial(verify_by_job, parts.backends), timeout_seconds=VERIFY_SECONDS)
    export = JobKind(EXPORT_JOB, partial(export_by_job, parts.backends), timeout_seconds=EXPORT_SECONDS)
    check, scrub = _kept_up(CHECK_JOB, check_by_job, parts), _kept_up(SCRUB_JOB, scrub_by_job, parts)
    kinds = send, reset, verify, export, check, scrub
    return Worker(parts.db, parts.ports.clock, JobKinds(kinds), observe=parts.metrics.job_ended)


def _kept_up(name: str, handle: Callable[[Backends, StoragePolicy, JobRow], Awaitable[None]], parts: Parts) -> JobKind:
    """A job that reads the whole store, and goes on where it was when it is cut off."""
    own = partial(handle, parts.backends, parts.storage_policy)
    return JobKind(name, own, timeout_seconds=STORE_SECONDS, is_cut_at_once=True)


def _carriers(database_url: str, redis: RedisLink | None) -> list[Carrier]:
    """What takes news to other processes, the better first. An embedded database has one process, so far."""
    by_redis: list[Carrier] = [RedisCarrier(redis)] if redis else []
    by_postgres: list[Carrier] = [PostgresCarrier(database_url)] if database_url.startswith("postgresql") else []
    return by_redis + by_postgres


def _signer(given: tuple[bytes, ...]) -> Signer:
    newest, *older = (derive_key(secret, SIGNED_URLS) for secret in given)
    return Signer(newest, tuple(older))
