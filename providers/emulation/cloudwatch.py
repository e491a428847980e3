"""CloudWatch: composite alarms, which moto keeps among its alarms but has no operation for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.emulation.operation import Call, Operation, moto_backend, refuse


def _put_composite(call: Call) -> Mapping[str, Any]:
    given = call.given
    if not given.get("AlarmRule"):
        refuse("ValidationError", "A composite alarm has an AlarmRule.")
    moto_backend("cloudwatch", call).put_metric_alarm(
        name=given["AlarmName"],
        rule=given["AlarmRule"],
        description=given.get("AlarmDescription"),
        actions_enabled=given.get("ActionsEnabled", True),
        alarm_actions=list(given.get("AlarmActions") or []),
        ok_actions=list(given.get("OKActions") or []),
        insufficient_data_actions=list(given.get("InsufficientDataActions") or []),
        tags=list(given.get("Tags") or []),
        dimensions=[],
        **dict.fromkeys(
            (
                "namespace",
                "metric_name",
                "comparison_operator",
                "evaluation_periods",
                "period",
                "threshold",
                "statistic",
            )
        ),
    )
    return {}


OPERATIONS: Mapping[str, Operation] = {"PutCompositeAlarm": _put_composite}
