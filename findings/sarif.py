"""Findings as SARIF 2.1.0, which code hosts show beside the code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from findings.finding import Finding, Severity, ordered

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# What code hosts sort by: a number from 0 to 10 in a rule's properties.
SECURITY_SEVERITY = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}


def sarif(findings: Sequence[Finding], *, tool: str, version: str) -> str:
    """One run of `tool`. Resources are logical locations: a URN is not a line of a file."""
    listed = ordered(findings)
    rules = {f.rule: f for f in reversed(listed)}
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": tool,
                        "version": version,
                        "rules": [_rule(rules[name]) for name in sorted(rules)],
                    }
                },
                "results": [_result(f) for f in listed],
            }
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _rule(finding: Finding) -> dict[str, Any]:
    tags = [*finding.requirements, *([finding.reference] if finding.reference else [])]
    return {
        "id": finding.rule,
        "help": {"text": finding.fix},
        "properties": {"tags": tags, "security-severity": SECURITY_SEVERITY[finding.severity]},
    }


def _result(finding: Finding) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "level": "error" if finding.blocks else "warning",
        "message": {"text": f"{finding.message} {finding.fix}"},
        "locations": [
            {"logicalLocations": [{"name": finding.place, "fullyQualifiedName": finding.resource, "kind": "resource"}]}
        ],
    }
