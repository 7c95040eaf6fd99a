"""What is counted and measured, for Prometheus: the only doorway of its client.

Each process counts what happens in it, and is scraped by itself. Labels are words of the code and of the schema,
routes, or bounded by `api.operation_names`: never what a request says of people and files.
"""

import platform
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from api.samples import Sample
from api.version import VERSION

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
JOB_SECONDS: Final = (0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Labels: TypeAlias = tuple[str, ...]


class _Counts(dict[Labels, float]):
    """A counter's series: plain numbers, counted in the event loop alone. The client's own take locks, and longer."""

    def __init__(self, name: str, description: str, *labels: str) -> None:
        super().__init__() if labels else super().__init__({(): 0.0})
        self._made_of = f"cairn_{name}", description, labels

    def __missing__(self, labels: Labels) -> float:
        return 0.0

    def family(self) -> Metric:
        name, description, labels = self._made_of
        family = CounterMetricFamily(name, description, labels=labels)
        for given, value in self.copy().items():
            family.add_metric(given, value)
        return family


class _Times:
    """A histogram's series: how often it took up to each bound, how often longer, and the sum."""

    def __init__(self, name: str, description: str, bounds: Sequence[float], *labels: str) -> None:
        self._made_of = f"cairn_{name}_duration_seconds", description, labels
        self._bounds = bounds
        self._series: dict[Labels, list[float]] = {}

    def note(self, labels: Labels, seconds: float) -> None:
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = [0.0] * (len(self._bounds) + 2)
        series[bisect_left(self._bounds, seconds)] += 1
        series[-1] += seconds

    def family(self) -> Metric:
        name, description, labels = self._made_of
        family = HistogramMetricFamily(name, description, labels=labels)
        bounds = [*map(str, self._bounds), "+Inf"]
        for given, series in self._series.copy().items():
            *counts, total = list(series)
            family.add_metric(given, list(zip(bounds, accumulate(counts), strict=True)), total)
        return family


class Metrics:
    """One per process. Counting takes well under a microsecond; nothing here waits, and nothing raises."""

    def __init__(self) -> None:
        self._requests = _Counts("http_requests", "Answered requests.", "method", "route", "status")
        self._answers = _Times("http_request", "From a request's head to the head of its answer.", SECONDS, "route")
        self._received = _Counts("http_received_bytes", "Bytes of requests' bodies.", "route")
        self._sent = _Counts("http_sent_bytes", "Bytes of answers' bodies.", "route")
        operations = "Operations that have ended, refused ones included."
        self._operations = _Counts("graphql_operations", operations, "name", "type", "outcome")
        resolved = "How long it took to resolve queries and mutations."
        self._resolved = _Times("graphql_operation", resolved, SECONDS, "name", "type")
        self._faults = _Counts("faults", "Faults that were logged with a traceback.")
        self._uploads = _Counts("uploads_ended", "Uploads that have ended.", "transport", "end")
        self._attempts = _Counts("job_attempts", "Attempts at jobs that have ended.", "kind", "outcome")
        self._jobs = _Times("job", "How long attempts at jobs took.", JOB_SECONDS, "kind")
        self._kept = _Counts("cache_answers", "Answers that the cache gave.", "question", "outcome")
        self._subscriptions = 0
        self._process = ProcessCollector(registry=None)

    def answered(self, method: str, route: str, status: int | None, seconds: float) -> None:
        """A request has been answered, after so long; without a status its client left before."""
        method = method if method in _METHODS else "other"
        self._requests[method, route, f"{status // 100}xx" if status else "none"] += 1
        self._answers.note((route,), seconds)

    def received(self, route: str, count: int) -> None:
        """So many bytes of a request's body have come."""
        self._received[route,] += count

    def sent(self, route: str, count: int) -> None:
        """So many bytes of an answer's body have gone out."""
        self._sent[route,] += count

    def operation_ended(self, name: str, kind: str, outcome: str, seconds: float | None = None) -> None:
        """An operation has come to this outcome, after so long where that says something."""
        self._operations[name, kind, outcome] += 1
        if seconds is not None:
            self._resolved.note((name, kind), seconds)

    def subscriptions_changed(self, step: int) -> None:
        """There is one more open subscription, or one less."""
        self._subscriptions += step

    def faulted(self) -> None:
        """The service broke: there is a line in the log."""
        self._faults[()] += 1

    def upload_ended(self, transport: str, end: str) -> None:
        """An upload that came by this transport has ended in this state."""
        self._uploads[transport, end] += 1

    def job_ended(self, kind: str, outcome: str, seconds: float) -> None:
        """An attempt at a job has come to this outcome, after so long."""
        self._attempts[kind, outcome] += 1
        self._jobs.note((kind,), seconds)

    def cache_asked(self, question: str, outcome: str) -> None:
        """The cache had an answer, or had not."""
        self._kept[question, outcome] += 1

    def text(self, sample: Sample) -> bytes:
        """All of it, with what was sampled, in Prometheus' text format. Blocks for milliseconds."""
        registry = CollectorRegistry()
        for collector in (self, _State(sample), self._process):
            registry.register(collector)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Every metric with its series, for the client."""
        build = {"version": VERSION, "python": platform.python_version()}
        yield InfoMetricFamily("cairn_build", "Which version runs.", build)
        yield from (counts.family() for counts in (self._requests, self._received, self._sent, self._operations))
        yield from (counts.family() for counts in (self._faults, self._uploads, self._attempts, self._kept))
        yield from (times.family() for times in (self._answers, self._resolved, self._jobs))
        yield _number("subscriptions_open", "Subscriptions that are under way.", self._subscriptions)


class _State:
    """What was looked at, as a collector. What could not be looked at is left out."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge of the sample."""
        sample, figures, disk = self._sample, self._sample.figures, self._sample.disk
        pools = sample.pools.items()
        in_use = [((name,), pool.in_use) for name, pool in pools]
        yield _gauge("database_connections", "Connections to the database in use.", in_use, "pool")
        limits = [((name,), pool.limit) for name, pool in pools]
        yield _gauge("database_connections_limit", "Connections to the database at most.", limits, "pool")
        yield _number("streams_open", "Event streams and WebSockets that are open.", sample.streams)
        if sample.is_redis_up is not None:
            yield _number("redis_up", "Whether Redis is in order.", sample.is_redis_up)
        if disk is not None:
            yield _number("disk_size_bytes", "The disk that blobs lie on.", disk.size)
            yield _number("disk_free_bytes", "What is free of it.", disk.free)
        if figures is None:
            return
        yield _number("storage_used_bytes", "Bytes of all versions in all workspaces.", figures.used)
        yield _number("storage_reserved_bytes", "Bytes held back for uploads under way.", figures.reserved)
        yield _number("files", "Files in all workspaces.", figures.files)
        jobs = [((kind, state), count) for kind, state, count in figures.jobs]
        yield _gauge("jobs", "Jobs that are not done: waiting, running, or dead.", jobs, "kind", "state")
        yield _number("jobs_overdue_seconds", "How long the longest waiting job has been due.", figures.overdue_seconds)
        uploads = [((transport, state), count) for transport, state, count in figures.uploads]
        yield _gauge("uploads_open", "Uploads that have not ended.", uploads, "transport", "state")
        yield _number("sampled_timestamp_seconds", "When the database was asked for its numbers.", sample.as_of or 0)


def _number(name: str, description: str, value: float) -> GaugeMetricFamily:
    return _gauge(name, description, [((), value)])


def _gauge(
    name: str, description: str, values: Iterable[tuple[Sequence[str], float]], *labels: str
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"cairn_{name}", description, labels=labels)
    for given, value in values:
        family.add_metric(given, value)
    return family
