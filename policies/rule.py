"""What a rule is, and how it becomes a policy of the policy SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import (
    PolicyComplianceFramework,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
)
from pulumi_policy.proxy import UnknownValueError

from findings.finding import Severity as FindingSeverity

PCI_DSS = "PCI DSS"
PCI_DSS_VERSION = "4.0"
# Dynamic resources of this project are of the type pulumi-python:dynamic/railyard:<Name>.
TYPE_PREFIX = "pulumi-python:dynamic/railyard:"


@dataclass(frozen=True)
class Rule:
    """One rule about one kind of resource.

    Attributes:
        id: what waivers, reports and requirements call it.
        what: what it demands, one sentence.
        risk: what goes wrong without it.
        fix: how to satisfy it.
        severity: of a violation.
        requirements: ids in docs/requirements.yaml that it enforces.
        pci: the clause of PCI DSS 4.0 it serves.
        resource: name of the resource type it looks at, such as "Process".
        violations: yields one sentence a violation, from the resource's inputs.
    """

    id: str
    what: str
    risk: str
    fix: str
    severity: FindingSeverity
    requirements: tuple[str, ...]
    pci: str
    resource: str
    violations: Callable[[Mapping[str, Any]], Iterator[str]]

    def as_policy(self) -> ResourceValidationPolicy:
        """The rule for the policy SDK; on other resources it says that it does not apply."""

        def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
            if args.resource_type != TYPE_PREFIX + self.resource:
                args.not_applicable(f"not a {self.resource}")
            for violation in self.violations(args.props):
                report(f"{violation} {self.fix}", None)

        return ResourceValidationPolicy(
            name=self.id,
            description=f"{self.what} Risk: {self.risk}",
            validate=validate,
            severity=Severity(self.severity.value),
            framework=PolicyComplianceFramework(
                name=PCI_DSS, version=PCI_DSS_VERSION, reference=self.pci, specification=self.what
            ),
            tags=list(self.requirements),
            remediation_steps=self.fix,
        )


def known(properties: Mapping[str, Any], key: str) -> Any:
    """The value under `key`; None when it is absent or not known before the update.

    An unknown is no violation: the engine asks again, with the value, before the resource is made.
    """
    try:
        return properties.get(key)
    except UnknownValueError:
        return None


def is_unknown(properties: Mapping[str, Any], key: str) -> bool:
    """Whether there is a value under `key` that only the update will tell."""
    try:
        properties.get(key)
    except UnknownValueError:
        return True
    return False


def known_items(properties: Mapping[str, Any], key: str) -> Iterator[Any]:
    """The known items of the list under `key`."""
    items = known(properties, key) or ()
    for index in range(len(items)):
        try:
            yield items[index]
        except UnknownValueError:
            continue
