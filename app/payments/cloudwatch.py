"""The guides' CloudWatch metrics (`Deligate/Payments/*`), written as lines in the embedded metric format.

CloudWatch Logs reads metrics out of such lines by itself: no agent beside the task, no right but to write its own log.
Every process writes what it counted since its last line, a worker also what it measured in the database, so that sums
over all processes are right and maxima are the same from each. Source of every figure is `payments.metrics`.

Format: Amazon CloudWatch User Guide, "Embedded metric format specification".
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from prometheus_client import REGISTRY

from payments.core import Core

PERIOD_SECONDS = 60.0
# A metric has at most 100 values in a line. More lines than these say nothing more about a minute.
VALUES_A_LINE = 100
LINES_A_METRIC = 10
# Stands for "longer than the histogram's last bound".
BEYOND_SECONDS = 1200.0
SUCCEEDED = ("succeeded", "settled")
ARRIVED = ("settled", "overpaid")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
Units = Mapping[str, str]


def read() -> Samples:
    """Every sample of this process by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
    }


class _Since:
    """What was counted since the samples before, and what is measured now."""

    def __init__(self, before: Samples, now: Samples) -> None:
        self._before, self._now = before, now

    def counted(self, name: str, **labels: str) -> float:
        """Growth of a counter over all its label sets that have these labels."""
        wanted = set(labels.items())
        return sum(
            value - self._before.get((sample, pairs), 0.0)
            for (sample, pairs), value in self._now.items()
            if sample == name and wanted <= set(pairs)
        )

    def gauge(self, name: str, how: Callable[[Iterable[float]], float], **labels: str) -> float | None:
        """A gauge over its label sets; None when it was never set."""
        wanted = set(labels.items())
        values = [value for (sample, pairs), value in self._now.items() if sample == name and wanted <= set(pairs)]
        return how(values) if values else None

    def durations(self, name: str, rail: str) -> dict[float, int]:
        """How many observations of a rail fell below each bound of a histogram and above the one before it."""
        cumulative: dict[float, float] = {}
        for (sample, pairs), value in self._now.items():
            labels = dict(pairs)
            if sample == f"{name}_bucket" and labels.get("rail") == rail:
                bound = float(labels["le"])
                cumulative[bound] = value - self._before.get((sample, pairs), 0.0)
        counts, below = {}, 0.0
        for bound in sorted(cumulative):
            if cumulative[bound] > below:
                counts[min(bound, BEYOND_SECONDS)] = round(cumulative[bound] - below)
            below = cumulative[bound]
        return counts

    def rails(self) -> set[str]:
        """Every rail that something was measured of."""
        return {value for _, pairs in self._now for label, value in pairs if label == "rail"}


def _chunks(counts: Mapping[float, int]) -> Iterator[list[float]]:
    """The values as often as they were seen, a hundred a line; of very many, a sample that keeps every value."""
    most = VALUES_A_LINE * LINES_A_METRIC
    total = sum(counts.values())
    values: list[float] = []
    for value, count in counts.items():
        values += [value] * (count if total <= most else max(1, count * most // total))
    for start in range(0, len(values), VALUES_A_LINE):
        yield values[start : start + VALUES_A_LINE]


def _line(
    namespace: str, milliseconds: int, values: Mapping[str, Any], units: Units, dimensions: Sequence[Sequence[str]]
) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": units.get(name, "Count")} for name in values if name not in ("Rail", "Asset")]
    directive = {"Namespace": namespace, "Dimensions": [list(names) for names in dimensions], "Metrics": metrics}
    return {"_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [directive]}, **values}


_UNITS: Units = {
    "SuccessRate": "Percent",
    "PaymentSeconds": "Seconds",
    "OldestPendingSeconds": "Seconds",
    "OldestUnknownSeconds": "Seconds",
    "OutboxLagSeconds": "Seconds",
    "WebhookLagSeconds": "Seconds",
    "AuditUnsealedSeconds": "Seconds",
    "AuditUnarchivedSeconds": "Seconds",
    "DatabasePoolInUsePercent": "Percent",
    "TotalVolume": "None",
    "GasPrice": "None",
    "RailUp": "None",
    "RedisUp": "None",
}
_RAIL_AND_ALL = (("Rail",), ())
_RAIL = (("Rail",),)


def _of_rail(since: _Since, rail: str, *, is_worker: bool) -> Iterator[tuple[dict[str, Any], Sequence[Sequence[str]]]]:
    """Values of one rail with the dimensions they are for."""
    paid = sum(since.counted("payments_total", rail=rail, outcome=outcome) for outcome in SUCCEEDED)
    succeeded = paid + sum(since.counted("arrivals_total", rail=rail, disposition=kind) for kind in ARRIVED)
    failed = since.counted("payments_total", rail=rail, outcome="failed")
    yield (
        {
            "Rail": rail,
            "TransactionCount": succeeded + failed,
            "FailedTransactions": failed,
            "RailNetworkErrors": since.counted("rail_network_errors_total", rail=rail),
        },
        _RAIL_AND_ALL,
    )
    # Of each payment 100 or 0: their average over all processes is the rate, whatever each of them saw.
    for values in _chunks({100.0: round(succeeded), 0.0: round(failed)}):
        yield {"Rail": rail, "SuccessRate": values}, _RAIL_AND_ALL
    for histogram in ("payment_duration_seconds", "settlement_seconds"):
        for values in _chunks(since.durations(histogram, rail)):
            yield {"Rail": rail, "PaymentSeconds": values}, _RAIL
    fees = since.counted("fees_paid_total", rail=rail)
    if fees and paid:
        yield {"Rail": rail, "GasPrice": fees / paid}, _RAIL_AND_ALL
    up = since.gauge("rail_up", min, rail=rail)
    if is_worker and up is not None:
        yield {"Rail": rail, "RailUp": up}, _RAIL


def _volumes(since: _Since, now: Samples) -> Iterator[tuple[dict[str, Any], Sequence[Sequence[str]]]]:
    for name, pairs in now:
        if name == "payment_volume_total":
            labels = dict(pairs)
            volume = since.counted(name, **labels)
            if volume:
                values = {"Rail": labels["rail"], "Asset": labels["asset"], "TotalVolume": volume}
                yield values, (("Rail",), ("Asset",), ("Rail", "Asset"))


def _of_process(since: _Since) -> dict[str, Any]:
    invalid = since.counted("verification_total", outcome="invalid")
    size, used = since.gauge("db_pool_size", sum), since.gauge("db_pool_in_use", sum)
    return {
        "Verifications": invalid + since.counted("verification_total", outcome="valid"),
        "FailedVerifications": invalid,
        "DatabaseErrors": since.counted("database_errors_total"),
        "DatabasePoolInUsePercent": 100 * used / size if size and used is not None else 0,
        "RedisUp": since.gauge("redis_up", min),
    }


def _of_worker(since: _Since) -> dict[str, Any]:
    """What a worker measures in the database."""
    return {
        "PendingTransactions": since.gauge("payments_pending", sum),
        "OldestPendingSeconds": since.gauge("payments_pending_oldest_seconds", max),
        "OldestUnknownSeconds": since.gauge("payments_unknown_oldest_seconds", max),
        "FailuresOfOneUser": since.gauge("user_failures_in_an_hour", max),
        "LedgerImbalance": since.gauge("ledger_imbalance", lambda values: max(abs(value) for value in values)),
        "OpenDiscrepancies": since.gauge("payment_discrepancies_open", sum),
        "ArrivalsReversed": since.gauge("arrivals_reversed", sum),
        "OutboxLagSeconds": since.gauge("outbox_lag_seconds", max),
        "WebhookLagSeconds": since.gauge("webhook_lag_seconds", max),
        "UnknownJobs": since.counted("jobs_unknown_total"),
        "AuditUnsealedSeconds": since.gauge("audit_unsealed_seconds", max),
        "AuditUnarchivedSeconds": since.gauge("audit_unarchived_seconds", max),
        "AuditBreaks": since.gauge("audit_breaks", max),
    }


def lines(
    before: Samples, now: Samples, *, namespace: str, milliseconds: int, is_worker: bool
) -> Iterator[dict[str, Any]]:
    """The lines for what happened between two readings, at a time in milliseconds since the epoch."""
    since = _Since(before, now)
    process = _of_process(since)
    if is_worker:
        process |= _of_worker(since)
    known = {name: value for name, value in process.items() if value is not None}
    yield _line(namespace, milliseconds, known, _UNITS, ((),))
    for rail in sorted(since.rails()):
        for values, dimensions in _of_rail(since, rail, is_worker=is_worker):
            yield _line(namespace, milliseconds, values, _UNITS, dimensions)
    for values, dimensions in _volumes(since, now):
        yield _line(namespace, milliseconds, values, _UNITS, dimensions)


async def publish_for(core: Core, *, is_worker: bool) -> None:
    """Write the lines of every minute until cancelled; without a namespace in the settings, nothing."""
    namespace = core.settings.cloudwatch_namespace
    before = read()
    while namespace:
        await asyncio.sleep(PERIOD_SECONDS)
        core.database.measure_pool()
        now = read()
        milliseconds = int(core.clock.now().timestamp() * 1000)
        for line in lines(before, now, namespace=namespace, milliseconds=milliseconds, is_worker=is_worker):
            sys.stdout.write(orjson.dumps(line).decode() + "\n")
        sys.stdout.flush()
        before = now
