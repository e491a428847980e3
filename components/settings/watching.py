"""Settings of what watches a stack in a cloud: who is told, the budget, how long records are kept."""

from __future__ import annotations

from typing import Literal

from components.settings.model import CLOUD, Model, setting


class WatchingSettings(Model):
    """Alarms, budget, backups and records."""

    alert_email: str = setting(
        "",
        "Address that every alarm is mailed to.",
        platforms=CLOUD,
        required=True,
        wanted="a mail address",
        pattern=r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
    )
    monthly_budget_usd: int = setting(
        1_500, "The month's cost in US dollars at 80 % of which an alarm is sent.", platforms=CLOUD, ge=1
    )
    gas_price_alarm_nano: int = setting(
        50_000_000, "Gas price above which an alarm is sent, in nanotons of one transfer.", platforms=CLOUD, ge=1
    )
    audit_retention_years: int = setting(
        7, "Years that the audit archive is locked against change.", platforms=CLOUD, ge=7, le=100
    )
    audit_lock_mode: Literal["COMPLIANCE", "GOVERNANCE"] = setting(
        "COMPLIANCE",
        "Object lock of the audit archive: COMPLIANCE, which not even the root user can lift, or GOVERNANCE to try.",
        platforms=CLOUD,
    )
