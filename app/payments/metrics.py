"""Prometheus metrics by the names of facts.md section 9, and those the rollout's gates read.

With WORKERS > 1 every process writes to PROMETHEUS_MULTIPROC_DIR and any of them answers for all.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_RAIL_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 30, 60, 180, 600)
_HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 3, 5, 10, 30)

PAYMENTS = Counter("payments_total", "Payments by final outcome.", ["rail", "outcome"])
PAYMENT_SECONDS = Histogram(
    "payment_duration_seconds", "From acceptance to a final state.", ["rail"], buckets=_RAIL_SECONDS
)
ERRORS = Counter("errors_total", "Errors by the API's code.", ["type"])
INVOICES = Counter("invoices_total", "Invoices that reached a state.", ["state"])
INVOICE_CREATE = Counter("invoice_create_total", "Create-invoice requests.", ["outcome"])
VOLUME = Counter("payment_volume_total", "Value that was paid, in minor units.", ["rail", "asset"])
FEES_PAID = Counter("fees_paid_total", "Fees the rails took, in minor units.", ["rail", "asset"])
SETTLEMENT_SECONDS = Histogram(
    "settlement_seconds", "From an invoice's creation to its settlement.", ["rail"], buckets=_RAIL_SECONDS
)
HTTP_SECONDS = Histogram(
    "http_request_duration_seconds", "Requests by route and status.", ["route", "status"], buckets=_HTTP_SECONDS
)
RATE_LIMIT_HITS = Counter("ratelimit_hits_total", "Requests refused by a limit.", ["scope"])
VERIFICATIONS = Counter("verification_total", "x402 verifications.", ["outcome"])
DB_POOL_IN_USE = Gauge("db_pool_in_use", "Connections taken from the pool.", multiprocess_mode="livesum")
DB_POOL_SIZE = Gauge("db_pool_size", "Connections the pool may hold.", multiprocess_mode="livesum")
DB_POOL_WAITING = Gauge("db_pool_waiting", "Requests waiting for a connection.", multiprocess_mode="livesum")
DB_QUERY_SECONDS = Histogram("db_query_seconds", "Statements.", ["statement"], buckets=_HTTP_SECONDS)
DATABASE_ERRORS = Counter("database_errors_total", "Times that PostgreSQL did not answer.")
CACHE_REQUESTS = Counter("cache_requests_total", "Look-ups in a cache.", ["cache", "result"])
FAILED_TRANSACTIONS = Counter("transactions_failed_total", "Payments that failed, by reason.", ["reason"])
USER_FAILURES = Gauge(
    "user_failures_in_an_hour", "Most failed payments of one user in the last hour.", multiprocess_mode="livemax"
)
RAIL_NETWORK_ERRORS = Counter("rail_network_errors_total", "Calls that a rail did not answer.", ["rail"])
RAIL_UP = Gauge("rail_up", "1 ok, 0.5 degraded, 0 down.", ["rail"], multiprocess_mode="livemin")
REDIS_UP = Gauge("redis_up", "Whether the last call to Redis was answered.", multiprocess_mode="livemin")
ARRIVALS = Counter("arrivals_total", "Inbound rail events by what became of them.", ["rail", "disposition"])
REVERSED = Gauge(
    "arrivals_reversed",
    "Arrivals that were credited, are gone from their rail and have not come again.",
    ["rail", "asset"],
    multiprocess_mode="livemax",
)
REVERSED_LOSS = Gauge(
    "arrivals_reversed_loss",
    "What could not be taken back of them, in minor units.",
    ["rail", "asset"],
    multiprocess_mode="livemax",
)
DRIFT = Gauge(
    "payment_reconciliation_drift",
    "Rail minus books that nobody has explained, in minor units; must be 0.",
    ["rail", "asset"],
    multiprocess_mode="livemax",
)
DISCREPANCIES_OPEN = Gauge(
    "payment_discrepancies_open",
    "Discrepancies that nobody has explained.",
    ["rail", "asset"],
    multiprocess_mode="livemax",
)
DISCREPANCIES = Counter("payment_discrepancies_total", "Discrepancies found.", ["rail", "kind"])
BALANCE_DRIFT = Gauge(
    "payment_balance_drift",
    "What a rail says that we hold, minus the books, opening and explanations, in minor units; must be 0.",
    ["rail", "asset"],
    multiprocess_mode="livemax",
)
BALANCE_COMPARED_AT = Gauge(
    "payment_balance_compared_timestamp_seconds",
    "When a rail's balance was compared last, in a moment without payments on their way.",
    ["rail", "asset"],
    multiprocess_mode="livemax",
)
RECONCILED_AT = Gauge(
    "payment_reconciled_timestamp_seconds", "When a rail was compared last.", ["rail"], multiprocess_mode="livemax"
)
HUMAN_QUEUE = Gauge("human_queue", "What waits for a person.", ["kind"], multiprocess_mode="livemax")
DISCOVERY_SECONDS = Histogram("endpoint_discovery_seconds", "Looking up a payee's endpoints.", buckets=_HTTP_SECONDS)
FALLBACKS = Counter(
    "payment_fallbacks_total", "Payments that went on over another rail, by the rail they left.", ["rail"]
)
INBOUND = Counter("inbound_webhooks_total", "Webhooks of providers, by what became of them.", ["source", "outcome"])
SUSPENSE_OPEN = Gauge(
    "suspense_open", "Amounts that wait for a decision.", ["rail", "asset"], multiprocess_mode="livemax"
)
SUSPENSE_AMOUNT = Gauge(
    "suspense_amount", "What waits for a decision, in minor units.", ["rail", "asset"], multiprocess_mode="livemax"
)
PENDING = Gauge("payments_pending", "Payments without a final state.", ["state"], multiprocess_mode="livemax")
PENDING_AGE = Gauge("payments_pending_oldest_seconds", "Age of the oldest open payment.", multiprocess_mode="livemax")
UNKNOWN_AGE = Gauge("payments_unknown_oldest_seconds", "Age of the oldest unknown.", multiprocess_mode="livemax")
LEDGER_IMBALANCE = Gauge("ledger_imbalance", "Sum of all entries; must be 0.", ["asset"], multiprocess_mode="livemax")
OUTBOX_RELAYED = Counter("outbox_relayed_total", "Outbox rows relayed.", ["kind"])
OUTBOX_LAG = Gauge("outbox_lag_seconds", "Age of the oldest row not yet relayed.", multiprocess_mode="livemax")
JOBS = Counter("jobs_total", "Jobs that ended.", ["job", "outcome"])
UNKNOWN_JOBS = Counter("jobs_unknown_total", "Jobs that this release does not know and gave back.", ["job"])
TAKEN_OVER = Counter("attempts_taken_over_total", "Attempts whose lease ran out, by what was found.", ["rail", "found"])
AUDIT_UNSEALED = Gauge("audit_unsealed_seconds", "Age of the oldest unsealed row.", multiprocess_mode="livemax")
AUDIT_BREAKS = Gauge("audit_breaks", "Roots that the rows no longer lead to.", multiprocess_mode="livemax")
AUDIT_UNARCHIVED = Gauge(
    "audit_unarchived_seconds", "Age of the oldest sealed root outside the archive.", multiprocess_mode="livemax"
)
AUDIT_ARCHIVE_FAILURES = Counter("audit_archive_failures_total", "Times that the archive took no segment.")
WEBHOOKS = Counter("webhook_attempts_total", "Attempts to deliver, by what came of them.", ["state"])
WEBHOOKS_DUE = Gauge("webhooks_due", "Deliveries that are due now.", multiprocess_mode="livemax")
WEBHOOK_LAG = Gauge("webhook_lag_seconds", "Age of the oldest due delivery.", multiprocess_mode="livemax")
BREAKERS = Gauge("circuit_breaker_open", "1 open, 0.5 on trial, 0 closed.", ["upstream"], multiprocess_mode="livemax")
LEFT_ALONE = Counter("circuit_breaker_left_alone_total", "Requests an open breaker did not let out.", ["upstream"])
STOPPED = Counter("requests_stopped_total", "Requests refused by a switch.", ["switch"])
HELD = Counter("payments_held_total", "Departures put off, by what holds them.", ["why"])
SUSPICIOUS = Counter("suspicious_activity_total", "Users whose payouts were held after failures.")
APPROVALS_WAITING = Gauge("approvals_waiting", "Payments for a second person.", multiprocess_mode="livemax")
HOT_WALLET = Gauge(
    "hot_wallet_balance", "What the ledger says a rail holds.", ["rail", "asset"], multiprocess_mode="livemax"
)
WALLET_TRANSFERS = Counter("wallet_transfers_total", "Requests to top up or sweep.", ["rail", "direction"])
DUPLICATES = Counter("idempotency_total", "Requests with an Idempotency-Key.", ["outcome"])


def render() -> bytes:
    """All metrics in the Prometheus text format."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest()
