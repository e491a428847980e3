"""The table of alarms: the rows of the guides' alert tables (facts.md section 8), our SLOs, and what we add.

The one place where a threshold is written. A row says what is measured, the threshold, for how long, what missing
data mean, how bad it is, and which requirements it meets.

What missing data mean: `breaching` where silence is the failure (something must answer every minute), `notBreaching`
where there is nothing to measure without traffic. Silence of the metrics as a whole is an alarm of its own.
"""

from __future__ import annotations

from components.aws.alarm_table.model import AlarmRow, Comparison, Metric, Missing, Severity, Source, Subject
from components.aws.alarm_table.own import own_rows
from components.aws.alarm_table.payments import gas_row, payment_rows, rail_rows, security_rows
from components.aws.alarm_table.platform import http_rows, resource_rows, slo_rows

__all__ = [
    "AlarmRow",
    "Comparison",
    "Metric",
    "Missing",
    "Severity",
    "Source",
    "Subject",
    "alarm_rows",
    "gate_names",
]

# Rails whose alarms exist although the stack does not offer them: the guides' table names them.
RAILS_OF_THE_GUIDES = ("lnd", "onchain")


def alarm_rows(subject: Subject) -> tuple[AlarmRow, ...]:
    """Every alarm of a stack, in the order of the documentation."""
    rails = tuple(dict.fromkeys((*subject.rails, *RAILS_OF_THE_GUIDES)))
    of_rails = [row for rail in rails for row in rail_rows(rail, is_on=rail in subject.rails)]
    return (
        *of_rails,
        *payment_rows(),
        gas_row(subject.expected_gas_price),
        *security_rows(),
        *http_rows(),
        *resource_rows(subject),
        *slo_rows(),
        *own_rows(subject),
    )


def gate_names(prefix: str, subject: Subject) -> tuple[str, ...]:
    """Names of the alarms that roll a deployment back."""
    return tuple(f"{prefix}-{row.name}" for row in alarm_rows(subject) if row.is_gate)
