"""Names of the CloudWatch metrics that the service publishes, as `app/payments/cloudwatch.py` writes them.

The namespace and the first five names are the guides', letter by letter (facts.md trap 14). A test compares this list
with what the service really writes.
"""

from __future__ import annotations

NAMESPACE = "Deligate/Payments"
# In the same namespace for dashboards, but made by metric filters on the logs, not by the service.
LOG_NAMESPACE = "Deligate/Payments/Logs"

TRANSACTION_COUNT = "TransactionCount"
SUCCESS_RATE = "SuccessRate"
PENDING_TRANSACTIONS = "PendingTransactions"
TOTAL_VOLUME = "TotalVolume"
GAS_PRICE = "GasPrice"

FAILED_TRANSACTIONS = "FailedTransactions"
PAYMENT_SECONDS = "PaymentSeconds"
OLDEST_PENDING_SECONDS = "OldestPendingSeconds"
OLDEST_UNKNOWN_SECONDS = "OldestUnknownSeconds"
FAILURES_OF_ONE_USER = "FailuresOfOneUser"
VERIFICATIONS = "Verifications"
FAILED_VERIFICATIONS = "FailedVerifications"
RAIL_UP = "RailUp"
RAIL_NETWORK_ERRORS = "RailNetworkErrors"
REDIS_UP = "RedisUp"
DATABASE_POOL_IN_USE_PERCENT = "DatabasePoolInUsePercent"
DATABASE_ERRORS = "DatabaseErrors"
LEDGER_IMBALANCE = "LedgerImbalance"
OPEN_DISCREPANCIES = "OpenDiscrepancies"
ARRIVALS_REVERSED = "ArrivalsReversed"
OUTBOX_LAG_SECONDS = "OutboxLagSeconds"
WEBHOOK_LAG_SECONDS = "WebhookLagSeconds"
UNKNOWN_JOBS = "UnknownJobs"
AUDIT_UNSEALED_SECONDS = "AuditUnsealedSeconds"
AUDIT_UNARCHIVED_SECONDS = "AuditUnarchivedSeconds"
AUDIT_BREAKS = "AuditBreaks"

PUBLISHED = (
    TRANSACTION_COUNT,
    SUCCESS_RATE,
    PENDING_TRANSACTIONS,
    TOTAL_VOLUME,
    GAS_PRICE,
    FAILED_TRANSACTIONS,
    PAYMENT_SECONDS,
    OLDEST_PENDING_SECONDS,
    OLDEST_UNKNOWN_SECONDS,
    FAILURES_OF_ONE_USER,
    VERIFICATIONS,
    FAILED_VERIFICATIONS,
    RAIL_UP,
    RAIL_NETWORK_ERRORS,
    REDIS_UP,
    DATABASE_POOL_IN_USE_PERCENT,
    DATABASE_ERRORS,
    LEDGER_IMBALANCE,
    OPEN_DISCREPANCIES,
    ARRIVALS_REVERSED,
    OUTBOX_LAG_SECONDS,
    WEBHOOK_LAG_SECONDS,
    UNKNOWN_JOBS,
    AUDIT_UNSEALED_SECONDS,
    AUDIT_UNARCHIVED_SECONDS,
    AUDIT_BREAKS,
)
