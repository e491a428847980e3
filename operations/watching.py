"""What the engine says while it works, event by event: progress for the screen, reasons for a failure, findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from findings.finding import Finding, Severity
from operations.engine_errors import plain

if TYPE_CHECKING:
    from pulumi.automation import EngineEvent
    from pulumi.automation.events import PolicyEvent, StepEventMetadata

DOING = {
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "replace": "replacing",
    "create-replacement": "replacing",
    "delete-replaced": "replacing",
    "refresh": "looking at",
    "read": "reading",
    "import": "importing",
}
# Steps that do something; the rest only say that a resource is as it was.
QUIET = {"same", "refresh"}
DONE = {"create": "+", "update": "~", "delete": "-", "create-replacement": "±", "replace": "±"}


def name_of(urn: str) -> str:
    """A resource's name: the last part of its URN."""
    return urn.rsplit("::", 1)[-1]


@dataclass
class Watcher:
    """Takes the engine's events; called from the SDK's event thread.

    Attributes:
        doing: told what is being done now.
        done: told of each step that changed something, as "+ postgres".
        planned: how many changing steps there will be, where known.
        planning: whether it is only a preview.
        errors: the error messages, in order.
        findings: what the policies found.
        changes: steps by operation, of the summary.
        steps: each changing step as (operation, kind of resource, name), in order.
    """

    doing: Callable[[str], None] = lambda _: None
    done: Callable[[str], None] = lambda _: None
    planned: int = 0
    planning: bool = False
    errors: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    changes: dict[str, int] = field(default_factory=dict)
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    _finished: int = 0

    def __call__(self, event: EngineEvent) -> None:
        if event.resource_pre_event:
            self._begins(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._ends(event.res_outputs_event.metadata)
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self.errors.append(plain(event.diagnostic_event.message))
        elif event.policy_event:
            self._found(event.policy_event)
        elif event.summary_event:
            self.changes = counted(event.summary_event.resource_changes)

    def _begins(self, step: StepEventMetadata) -> None:
        operation = _word(step.op)
        if operation in DONE and _is_part(step):
            self.steps.append((operation, step.type.rsplit(":", 1)[-1], name_of(step.urn)))
        if operation in DOING:
            of = f"{self._finished}/{self.planned} " if self.planned else ""
            word = "planning" if self.planning and operation not in QUIET else DOING[operation]
            self.doing(f"{of}{word} {name_of(step.urn)}")

    def _ends(self, step: StepEventMetadata) -> None:
        operation = _word(step.op)
        if operation in QUIET or operation not in DOING:
            return
        self._finished += 1
        if operation in DONE and _is_part(step):
            self.done(f"{DONE[operation]} {name_of(step.urn)}")

    def _found(self, event: PolicyEvent) -> None:
        message = plain(event.message)
        finding = Finding(
            rule=event.policy_name,
            severity=Severity.HIGH if event.enforcement_level == "mandatory" else Severity.LOW,
            message=message.splitlines()[-1] if message else "",
            fix=f"See policies/rules/{event.policy_name.replace('-', '_')}.py.",
            resource=event.resource_urn or "",
            blocks=event.enforcement_level == "mandatory",
        )
        if finding not in self.findings:
            self.findings.append(finding)


def _is_part(step: StepEventMetadata) -> bool:
    """Whether it is a resource of its own: components are only groups, and providers only doors."""
    return not step.type.startswith("pulumi:") and step.type.count("/") > 0


def _word(operation: object) -> str:
    return str(getattr(operation, "value", operation))


def counted(changes: Mapping[Any, int] | None) -> dict[str, int]:
    """A summary's changes with plain words for operations, "same" left out."""
    words = {_word(operation): count for operation, count in (changes or {}).items()}
    return {word: count for word, count in words.items() if word not in QUIET and count}
