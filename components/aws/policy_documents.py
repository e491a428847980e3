"""Policy documents as dictionaries: who may take a role, what may be done with which resource; built, never pasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

VERSION = "2012-10-17"
Statement = dict[str, Any]
Document = dict[str, Any]


def document(*statements: Statement) -> Document:
    """A policy document of these statements."""
    return {"Version": VERSION, "Statement": list(statements)}


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[Any], conditions: Mapping[str, Any] | None = None
) -> Statement:
    """A statement that allows actions on resources.

    Args:
        sid: its name, letters and digits.
        actions: as `kms:Decrypt`; no wildcard but where the service has no narrower one.
        resources: ARNs, plain or as outputs.
        conditions: as `{"StringEquals": {"aws:SourceAccount": ...}}`.
    """
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    if conditions:
        statement["Condition"] = dict(conditions)
    return statement


def service_trust(service: str, conditions: Mapping[str, Any] | None = None) -> Document:
    """The trust policy of a role that an AWS service takes.

    Args:
        service: as `ecs-tasks.amazonaws.com`.
        conditions: as `{"StringEquals": {"aws:SourceAccount": ...}}`.
    """
    statement: Statement = {
        "Sid": "TakeRole",
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if conditions:
        statement["Condition"] = dict(conditions)
    return document(statement)
