"""The guides' alerts as Prometheus rules, and those that payments need.

Thresholds are those of facts.md section 8. Windows that the guides leave open are 5 minutes for rates and 1 minute for
liveness (section 3). Severity is `warning` (mail, Slack) or `critical` (a page as well). An alert names the guides'
entries it stands for in the annotation `requirements`.
"""

from __future__ import annotations

from dataclasses import dataclass

from components.arguments import ArgumentError
from components.kubernetes.names import APPLICATION, MIGRATION, WORKER, Manifest

FAILURE_WARNING, FAILURE_CRITICAL = 0.05, 0.20
LATENCY_P99_WARNING_SECONDS, LATENCY_P99_CRITICAL_SECONDS = 10, 30
ERROR_WARNING, ERROR_CRITICAL = 0.01, 0.02
VERIFICATION_FAILURE = 0.05
PENDING_PAYMENTS = 100
STUCK_SECONDS = 180
SUSPICIOUS_FAILURES = 10
AVERAGE_RESPONSE_SECONDS = 5
DISK_FREE_WARNING, DISK_FREE_CRITICAL = 0.20, 0.10
MEMORY, CPU = 0.80, 0.90
UPTIME = 0.999

UNUSUAL_TIMES = 3
"""How many times a day's usual value counts as unusually high."""


@dataclass(frozen=True, kw_only=True)
class AlertArgs:
    """Arguments of `rule_groups`.

    Attributes:
        namespace: of the stack; every expression is about it alone.
        stack: name of the stack, a label of every alert.
        runbook_url: where runbooks are; an alert adds its name. Left out when empty.
        expected_gas_price: fee of a TON transfer above which "unusually high" begins, in nanotons; what is unusual is
            told by the day before, when it is None, as of every other rail.
    """

    namespace: str
    stack: str
    runbook_url: str = ""
    expected_gas_price: int | None = None

    def __post_init__(self) -> None:
        for key in ("namespace", "stack"):
            if not getattr(self, key):
                raise ArgumentError("AlertArgs", key, "is empty", "An alert has to say what it is about.")


@dataclass(frozen=True)
class Rule:
    """One alert.

    Attributes:
        name: of the alert, in the words of a page.
        expression: PromQL, `$ns` standing for the matcher of the namespace, `$expected` for the expected gas price.
        minutes: how long it has to hold.
        severity: "warning" or "critical".
        summary: what is wrong, for people.
        requirements: the guides' entries.
    """

    name: str
    expression: str
    minutes: int
    severity: str
    summary: str
    requirements: tuple[str, ...] = ()


def _share(part: str, whole: str, by: str = "") -> str:
    """A quotient of rates over five minutes; no sample, so no alert, where there was no traffic."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({part}[5m])) / (sum{grouped} (rate({whole}[5m])) > 0)"


_FAILED = _share(
    'payments_total{$ns,outcome="failed"}', 'payments_total{$ns,outcome=~"failed|succeeded|settled"}', "rail"
)
_P99 = "histogram_quantile(0.99, sum by (rail, le) (rate(payment_duration_seconds_bucket{$ns}[5m])))"
_ERRORS = _share('http_request_duration_seconds_count{$ns,status=~"5.."}', "http_request_duration_seconds_count{$ns}")
_DISK_FREE = (
    'node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|squashfs"} '
    '/ node_filesystem_size_bytes{fstype!~"tmpfs|overlay|squashfs"}'
)
_PODS = 'pod=~"402pay-.*",container!=""'
_MEMORY = (
    f"max by (pod, container) (container_memory_working_set_bytes{{$ns,{_PODS}}}) "
    '/ max by (pod, container) (kube_pod_container_resource_limits{$ns,resource="memory"})'
)
_CPU = (
    f"sum by (pod, container) (rate(container_cpu_usage_seconds_total{{$ns,{_PODS}}}[5m])) "
    '/ sum by (pod, container) (kube_pod_container_resource_limits{$ns,resource="cpu"})'
)
_FEE = (
    "(sum by (rail) (increase(fees_paid_total{$ns}[15m])) "
    '/ (sum by (rail) (increase(payments_total{$ns,outcome=~"succeeded|settled"}[15m])) > 0))'
)
_USUAL_FEE = _FEE.replace("15m", "1d")
_TON_FEE = _FEE.replace("$ns", '$ns,rail="ton"')
_WEB_UP = f'up{{$ns,job="{APPLICATION}"}}'
_REFUSED = 'http_request_duration_seconds_count{$ns,status=~"401|403|429"}'

PAYMENTS = (
    Rule("PaymentsFail", f"{_FAILED} > {FAILURE_WARNING}", 5, "warning",
         "More than 5 % of the payments by {{ $labels.rail }} fail.",
         ("pk-alert-failure-warn", "st-alert-failure-5", "tn-mon-success-95")),
    Rule("ManyPaymentsFail", f"{_FAILED} > {FAILURE_CRITICAL}", 5, "critical",
         "More than 20 % of the payments by {{ $labels.rail }} fail.", ("pk-alert-failure-crit",)),
    Rule("PaymentsSlow", f"{_P99} > {LATENCY_P99_WARNING_SECONDS}", 5, "warning",
         "One payment in a hundred by {{ $labels.rail }} takes over 10 s.", ("pk-alert-latency-warn",)),
    Rule("PaymentsVerySlow", f"{_P99} > {LATENCY_P99_CRITICAL_SECONDS}", 5, "critical",
         "One payment in a hundred by {{ $labels.rail }} takes over 30 s.", ("pk-alert-latency-crit",)),
    Rule("VerificationsFail",
         _share('verification_total{$ns,outcome!="valid"}', "verification_total{$ns}") + f" > {VERIFICATION_FAILURE}",
         5, "warning", "More than 5 % of the x402 verifications fail.", ("x4-alert-verify-fail-5",)),
    Rule("ManyPaymentsPending", f"sum (max by (state) (payments_pending{{$ns}})) > {PENDING_PAYMENTS}", 1, "warning",
         "More than 100 payments have no final state.", ("tn-mon-pending-100",)),
    Rule("PaymentStuck", f"max (payments_unknown_oldest_seconds{{$ns}}) > {STUCK_SECONDS}", 1, "warning",
         "A payment has been without an outcome for over 3 minutes.", ("tn-ts-stuck-symptom",)),
    Rule("GasPriceHigh", f"{_TON_FEE} > $expected", 5, "warning",
         "A TON transfer costs more than expected: consider the fallback rails.", ("tn-mon-gas-high",)),
    Rule("FeesUnusual", f"{_FEE} > {UNUSUAL_TIMES} * {_USUAL_FEE}", 5, "warning",
         "A payment by {{ $labels.rail }} costs three times the day's usual fee: consider the fallback rails.",
         ("tn-mon-gas-high",)),
    Rule("SuspiciousFailures", f"sum (increase(transactions_failed_total{{$ns}}[1h])) >= {SUSPICIOUS_FAILURES}", 0,
         "warning", "10 payments or more failed within an hour.", ("tn-mon-suspicious", "tn-sec-suspicious-10")),
    Rule("RefusalsUnusual",
         f"sum (rate({_REFUSED}[5m])) > 1 and sum (rate({_REFUSED}[5m])) > 3 * sum (rate({_REFUSED}[1d]))",
         5, "warning", "Three times the day's rate of requests are refused: keys are being tried, or a caller is "
         "misconfigured.", ("tn-secmon-anomalies",)),
    Rule("LedgerImbalance", "max by (asset) (abs(ledger_imbalance{$ns})) > 0", 0, "critical",
         "The ledger's entries in {{ $labels.asset }} do not sum to zero.", ("tn-secmon-anomalies",)),
    Rule("RailsAndBooksDiffer", "max by (rail, asset) (payment_discrepancies_open{$ns}) > 0", 1, "critical",
         "{{ $value }} differences between {{ $labels.rail }} and the books in {{ $labels.asset }} are unexplained."),
    Rule("ArrivalReversed", "max by (rail, asset) (arrivals_reversed{$ns}) > 0", 0, "critical",
         "Money that was credited is gone from {{ $labels.rail }}: a reorganisation took it away."),
    Rule("AuditBroken", "max (audit_breaks{$ns}) > 0", 0, "critical",
         "Rows of the audit log were changed after they were sealed.", ("tn-secmon-anomalies",)),
    Rule("AuditUnsealed", "max (audit_unsealed_seconds{$ns}) > 60", 5, "warning",
         "The audit log has not been sealed for over a minute."),
    Rule("AuditUnarchived", "max (audit_unarchived_seconds{$ns}) > 1800", 5, "critical",
         "Audit rows have been outside the archive for half an hour.", ("tn-comp-retention-7y",)),
)  # fmt: skip
SERVICE = (
    Rule("ServiceDown", f"absent({_WEB_UP} == 1)", 1, "critical",
         "No pod of the service answered for over a minute.", ("x4-alert-health-1m",)),
    Rule("HealthCheckFails", f"{_WEB_UP} == 0", 1, "warning",
         "Pod {{ $labels.pod }} of the service did not answer for over a minute.", ("x4-alert-health-1m",)),
    Rule("WorkerDown", f'absent(up{{$ns,job="{WORKER}"}} == 1)', 1, "critical",
         "No worker answered for over a minute: nothing is paid out or credited."),
    Rule("UptimeLow", f"avg (avg_over_time({_WEB_UP}[30d])) < {UPTIME}", 5, "warning",
         "Over 30 days the service was up for less than 99.9 %.", ("st-mon-uptime",)),
    Rule("ErrorBudgetBurns",
         " and ".join(f"({_ERRORS.replace('5m', window)}) > 14.4 * {1 - UPTIME:.3f}" for window in ("1h", "5m")),
         2, "critical", "At this rate of errors the month's budget is used up in two days.", ("st-mon-uptime",)),
    Rule("RequestsFail", f"{_ERRORS} > {ERROR_WARNING}", 5, "warning", "More than 1 % of the requests fail.",
         ("x4-alert-error-rate-1", "ms-incident-error-alerts")),
    Rule("ManyRequestsFail", f"{_ERRORS} > {ERROR_CRITICAL}", 5, "critical", "More than 2 % of the requests fail.",
         ("st-alert-error-2", "ms-incident-error-alerts")),
    Rule("ResponsesSlow",
         _share("http_request_duration_seconds_sum{$ns}", "http_request_duration_seconds_count{$ns}")
         + f" > {AVERAGE_RESPONSE_SECONDS}",
         5, "warning", "The average response takes over 5 s.", ("st-alert-response-5s",)),
    Rule("OutboxLags", "max (outbox_lag_seconds{$ns}) > 30", 2, "critical",
         "Jobs and events have not been relayed for over 30 s."),
    Rule("WebhooksLag", "max (webhook_lag_seconds{$ns}) > 300", 5, "warning", "Webhooks are over 5 minutes late."),
    Rule("UnknownJobs", "sum by (job) (increase(jobs_unknown_total{$ns}[15m])) > 0", 0, "warning",
         "A worker was given jobs that its release does not know."),
)  # fmt: skip
DEPENDENCIES = (
    Rule("LightningDown", 'max (rail_up{$ns,rail="lnd"}) == 0', 1, "warning",
         "LND has been disconnected for a minute.", ("pk-alert-lnd-warn",)),
    Rule("LightningDownLong", 'max (rail_up{$ns,rail="lnd"}) == 0', 5, "critical",
         "LND has been disconnected for 5 minutes.", ("pk-alert-lnd-crit",)),
    Rule("EsploraDown", 'max (rail_up{$ns,rail="onchain"}) == 0', 1, "warning",
         "Esplora has been unreachable for a minute.", ("pk-alert-esplora-warn",)),
    Rule("EsploraDownLong", 'max (rail_up{$ns,rail="onchain"}) == 0', 5, "critical",
         "Esplora has been unreachable for 5 minutes.", ("pk-alert-esplora-crit",)),
    Rule("RailTimeouts", "sum by (rail) (increase(rail_network_errors_total{$ns}[5m])) > 0", 0, "warning",
         "Calls to {{ $labels.rail }} were not answered.", ("st-alert-timeouts",)),
    Rule("DatabasePoolExhausted",
         "max by (pod) (db_pool_waiting{$ns}) > 0 and max by (pod) (db_pool_in_use{$ns}) >= "
         "max by (pod) (db_pool_size{$ns})",
         1, "critical", "Requests of {{ $labels.pod }} wait for a database connection.", ("x4-alert-db-pool",)),
    Rule("DatabaseErrors", f'kube_deployment_status_replicas_available{{$ns,deployment="{APPLICATION}"}} == 0', 1,
         "critical", "No pod is ready: readiness asks the database, and only the database decides it.",
         ("st-alert-db-errors",)),
    Rule("UpstreamLeftAlone", "max by (upstream) (circuit_breaker_open{$ns}) == 1", 5, "warning",
         "{{ $labels.upstream }} has failed for 5 minutes and is left alone by its circuit breaker."),
    Rule("RedisDown", "min (redis_up{$ns}) == 0", 1, "critical",
         "Redis does not answer: payouts, new keys and logins are refused.", ("x4-alert-redis-down",)),
)  # fmt: skip
PLATFORM = (
    Rule("DiskLow", f"{_DISK_FREE} < {DISK_FREE_WARNING}", 5, "warning",
         "Less than 20 % of {{ $labels.mountpoint }} on {{ $labels.instance }} is free.", ("x4-alert-disk-20",)),
    Rule("DiskVeryLow", f"{_DISK_FREE} < {DISK_FREE_CRITICAL}", 5, "critical",
         "Less than 10 % of {{ $labels.mountpoint }} on {{ $labels.instance }} is free.", ("st-alert-disk-10",)),
    Rule("MemoryHigh", f"{_MEMORY} > {MEMORY}", 5, "warning",
         "{{ $labels.pod }} has used over 80 % of its memory for 5 minutes.", ("st-alert-memory-80",)),
    Rule("CpuHigh", f"{_CPU} > {CPU}", 5, "warning",
         "{{ $labels.pod }} has used over 90 % of its CPU for 5 minutes.", ("st-alert-cpu-90",)),
    Rule("AtMostPods",
         f'kube_horizontalpodautoscaler_status_current_replicas{{$ns,horizontalpodautoscaler="{APPLICATION}"}} >= '
         f'kube_horizontalpodautoscaler_spec_max_replicas{{$ns,horizontalpodautoscaler="{APPLICATION}"}}',
         15, "warning", "The service has had as many pods as it may for 15 minutes."),
    Rule("PodsRestart", 'increase(kube_pod_container_status_restarts_total{$ns,pod=~"402pay-.*"}[15m]) > 2', 0,
         "warning", "{{ $labels.pod }} restarts again and again."),
    Rule("MigrationFailed", f'kube_job_status_failed{{$ns,job_name=~"{MIGRATION}-.*"}} > 0', 0, "critical",
         "The schema could not be migrated: the release is not rolled out."),
    Rule("MaintenanceFailed", 'kube_job_status_failed{$ns,job_name=~"402pay-maintenance-.*"} > 0', 0, "warning",
         "Maintenance job {{ $labels.job_name }} failed."),
)  # fmt: skip
GROUPS = {"payments": PAYMENTS, "service": SERVICE, "dependencies": DEPENDENCIES, "platform": PLATFORM}


def rule_groups(args: AlertArgs) -> list[Manifest]:
    """The `groups` of a PrometheusRule, which are also a rule file of Prometheus."""
    groups = {name: [rule for rule in rules if _applies(rule, args)] for name, rules in GROUPS.items()}
    return [
        {"name": f"railyard-{name}", "interval": "15s", "rules": [_manifest(rule, args) for rule in rules]}
        for name, rules in groups.items()
    ]


def _applies(rule: Rule, args: AlertArgs) -> bool:
    return args.expected_gas_price is not None or "$expected" not in rule.expression


def _manifest(rule: Rule, args: AlertArgs) -> Manifest:
    annotations = {"summary": rule.summary}
    if rule.requirements:
        annotations["requirements"] = ",".join(rule.requirements)
    if args.runbook_url:
        annotations["runbook_url"] = f"{args.runbook_url.rstrip('/')}/{rule.name}"
    expression = rule.expression.replace("$ns", f'namespace="{args.namespace}"')
    return {
        "alert": rule.name,
        "expr": expression.replace("$expected", str(args.expected_gas_price)),
        "for": f"{rule.minutes}m",
        "labels": {"severity": rule.severity, "stack": args.stack, "service": APPLICATION},
        "annotations": annotations,
    }
