"""The lines that CloudWatch reads metrics from: the guides' names, sums over processes, averages that are exact."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from components.aws import metric_names
from payments import cloudwatch
from payments.cloudwatch import Samples, lines

NAMESPACE = "Deligate/Payments"


def sample(name: str, value: float, **labels: str) -> Samples:
    return {(name, tuple(sorted(labels.items()))): value}


def told(before: Samples, now: Samples, *, is_worker: bool = True) -> list[dict[str, Any]]:
    return list(lines(before, now, namespace=NAMESPACE, milliseconds=1_700_000_000_000, is_worker=is_worker))


def values(of: list[dict[str, Any]], name: str, **dimensions: str) -> list[Any]:
    """Every value of a metric in lines with these dimensions; lists are joined."""
    found: list[Any] = []
    for line in of:
        if name in line and all(line.get(key) == value for key, value in dimensions.items()):
            found += line[name] if isinstance(line[name], list) else [line[name]]
    return found


def everything() -> Samples:
    """Samples with which each metric is written."""
    rail = {"rail": "lnd"}
    bucket = "payment_duration_seconds_bucket"
    now: Samples = {}
    for more in (
        sample("payments_total", 3, outcome="succeeded", **rail),
        sample("payments_total", 1, outcome="failed", **rail),
        sample("payments_total", 5, outcome="unknown", **rail),
        sample("arrivals_total", 4, disposition="settled", **rail),
        sample("arrivals_total", 9, disposition="known", **rail),
        sample(bucket, 0, le="5.0", **rail),
        sample(bucket, 2, le="10.0", **rail),
        sample(bucket, 3, le="30.0", **rail),
        sample(bucket, 4, le="+Inf", **rail),
        sample("fees_paid_total", 600, asset="BTC", **rail),
        sample("payment_volume_total", 7000, asset="BTC", **rail),
        sample("rail_network_errors_total", 2, **rail),
        sample("rail_up", 0.5, **rail),
        sample("verification_total", 1, outcome="invalid"),
        sample("verification_total", 19, outcome="valid"),
        sample("database_errors_total", 1),
        sample("db_pool_size", 20),
        sample("db_pool_in_use", 5),
        sample("redis_up", 1),
        sample("payments_pending", 2, state="sending"),
        sample("payments_pending", 3, state="unknown"),
        sample("payments_pending_oldest_seconds", 181),
        sample("payments_unknown_oldest_seconds", 7),
        sample("user_failures_in_an_hour", 10),
        sample("ledger_imbalance", -3, asset="BTC"),
        sample("payment_discrepancies_open", 1, asset="BTC", **rail),
        sample("payment_discrepancies_open", 2, asset="USDC", **rail),
        sample("arrivals_reversed", 1, asset="BTC", **rail),
        sample("outbox_lag_seconds", 1),
        sample("webhook_lag_seconds", 2),
        sample("jobs_unknown_total", 1, job="x"),
        sample("audit_unsealed_seconds", 3),
        sample("audit_unarchived_seconds", 4),
        sample("audit_breaks", 0),
    ):
        now |= more
    return now


def test_the_names_are_those_that_alarms_and_dashboards_read() -> None:
    written = {
        metric["Name"]
        for line in told({}, everything())
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    assert written == set(metric_names.PUBLISHED)
    assert metric_names.NAMESPACE == NAMESPACE


def test_every_line_follows_the_specification() -> None:
    for line in told({}, everything()):
        assert line["_aws"]["Timestamp"] == 1_700_000_000_000
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == NAMESPACE
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            assert all(isinstance(number, int | float) for number in (value if isinstance(value, list) else [value]))
            assert not isinstance(value, list) or 1 <= len(value) <= 100
        for names in directive["Dimensions"]:
            assert all(isinstance(line[name], str) for name in names)
        json.dumps(line)


def test_transactions_are_counted_per_rail_and_in_all() -> None:
    of = told({}, everything())
    assert values(of, "TransactionCount", Rail="lnd") == [8]
    assert values(of, "FailedTransactions", Rail="lnd") == [1]
    (line,) = [line for line in of if "TransactionCount" in line]
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Rail"], []]


def test_the_average_of_the_success_rate_is_the_share_that_succeeded() -> None:
    rates = values(told({}, everything()), "SuccessRate")
    assert sum(rates) / len(rates) == 100 * 7 / 8


def test_a_payment_above_a_threshold_is_told_above_it() -> None:
    seconds = values(told({}, everything()), "PaymentSeconds", Rail="lnd")
    assert seconds == [10.0, 10.0, 30.0, cloudwatch.BEYOND_SECONDS]


def test_only_what_is_new_is_told() -> None:
    before = everything()
    now = before | sample("payments_total", 6, outcome="succeeded", rail="lnd")
    of = told(before, now)
    assert values(of, "TransactionCount", Rail="lnd") == [3]
    assert values(of, "PaymentSeconds") == []
    assert values(of, "DatabaseErrors") == [0]
    assert values(told(now, now), "TransactionCount", Rail="lnd") == [0]


def test_only_a_worker_speaks_for_the_database_and_the_rails() -> None:
    of = told({}, everything(), is_worker=False)
    assert values(of, "PendingTransactions") == []
    assert values(of, "RailUp") == []
    assert values(of, "TransactionCount") == [8]
    assert values(told({}, everything()), "PendingTransactions") == [5]
    assert values(told({}, everything()), "LedgerImbalance") == [3]


def test_very_many_payments_keep_their_shares_and_every_outcome() -> None:
    now = sample("payments_total", 99_999, outcome="succeeded", rail="lnd")
    now |= sample("payments_total", 1, outcome="failed", rail="lnd")
    rates = values(told({}, now), "SuccessRate")
    assert 0.0 in rates
    assert len(rates) <= cloudwatch.VALUES_A_LINE * cloudwatch.LINES_A_METRIC + 1


def test_what_was_never_measured_is_not_told() -> None:
    of = told({}, sample("payments_total", 1, outcome="succeeded", rail="lnd"))
    assert values(of, "PendingTransactions") == []
    assert values(of, "RedisUp") == []


async def test_nothing_is_published_without_a_namespace() -> None:
    class Core:
        settings = type("Settings", (), {"cloudwatch_namespace": ""})

    await asyncio.wait_for(cloudwatch.publish_for(Core(), is_worker=True), 10)  # type: ignore[arg-type]


async def test_lines_are_printed_each_period(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from payments.clock import Clock

    class Core:
        settings = type("Settings", (), {"cloudwatch_namespace": NAMESPACE})
        database = type("Database", (), {"measure_pool": lambda self: None})()
        clock = Clock()

    monkeypatch.setattr(cloudwatch, "PERIOD_SECONDS", 0.01)
    printed = ""
    task = asyncio.create_task(cloudwatch.publish_for(Core(), is_worker=True))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        while "PendingTransactions" not in printed and "DatabaseErrors" not in printed:
            await asyncio.sleep(0.01)
            printed += capsys.readouterr().out
    task.cancel()
    assert json.loads(printed.splitlines()[0])["_aws"]["CloudWatchMetrics"][0]["Namespace"] == NAMESPACE
