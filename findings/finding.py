"""What one check found at one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is, worst first. The words are those of SARIF viewers and of the policy SDK."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Finding:
    """One rule broken by one resource, or one check failed at one address.

    Attributes:
        rule: id of the rule or check, such as "loopback-only".
        severity: how bad it is.
        message: what is wrong here, one sentence.
        fix: what to do about it, one sentence.
        resource: URN of the resource or address of the thing checked; "" for the whole stack.
        blocks: whether it stops the update (a mandatory rule) or only warns.
        requirements: ids of the requirements it enforces (docs/requirements.yaml).
        reference: clause of a standard, such as "PCI DSS 4.0 1.3.1"; "" where none applies.
    """

    rule: str
    severity: Severity
    message: str
    fix: str
    resource: str = ""
    blocks: bool = True
    requirements: tuple[str, ...] = ()
    reference: str = ""

    @property
    def place(self) -> str:
        """The resource's name as people say it: the last part of its URN."""
        return self.resource.rsplit("::", 1)[-1] or "the stack"


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Findings as every report lists them: what blocks first, then the worst, then by rule and resource."""
    return sorted(findings, key=lambda f: (not f.blocks, f.severity.rank, f.rule, f.resource, f.message))
