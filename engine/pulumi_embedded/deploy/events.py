"""Turns what happens in an update into engine events (`apitype.EngineEvent`), secrets masked.

Source: pulumi `pkg/engine/events.go`, `pkg/backend/display/events.go`. Two keys are ours: `internal` on resource events
that the CLI's display hides, and `streamID` on what a process printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pulumi_embedded.properties import MASK, is_secret, masked, without_secrets
from pulumi_embedded.state.resource import ResourceState

if TYPE_CHECKING:
    from pulumi_embedded.deploy.steps import Step

DEBUG, INFO, INFO_ERR, WARNING, ERROR = "debug", "info", "info#err", "warning", "error"

_SHORTEST_SECRET, _LONGEST_SECRET = 3, 4096
"""Shorter texts would be found everywhere; longer ones (pickled providers) are never printed whole."""


class Emitter:
    """Sends events to one listener and knows which texts must not be shown."""

    def __init__(self, listener: Callable[[dict[str, Any]], None], *, show_secrets: bool = False) -> None:
        self._listener = listener
        self._show_secrets = show_secrets
        self._secrets: set[str] = set()
        self.findings: list[dict[str, Any]] = []
        self.errors = 0
        self._told: set[str] = set()

    def learn_secrets(self, value: Any) -> None:
        """Mask the secret texts inside `value` in every message from now on."""
        if is_secret(value):
            self._learn(without_secrets(value))
        elif isinstance(value, dict):
            for item in value.values():
                self.learn_secrets(item)
        elif isinstance(value, list):
            for item in value:
                self.learn_secrets(item)

    def learn_secret_text(self, text: str) -> None:
        """Mask `text` in every message from now on."""
        if _SHORTEST_SECRET <= len(text) <= _LONGEST_SECRET:
            self._secrets.add(text)

    def _learn(self, value: Any) -> None:
        if isinstance(value, str):
            self.learn_secret_text(value)
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                self._learn(item)

    def filtered(self, text: str) -> str:
        """Return `text` with every known secret masked, the longest first."""
        found = [secret for secret in self._secrets if secret in text]
        for secret in sorted(found, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def diagnostic(
        self, severity: str, message: str, urn: str = "", *, stream: int = 0, ephemeral: bool = False
    ) -> None:
        """Show a message; errors make the update fail elsewhere, not here."""
        if severity == ERROR:
            self.errors += 1
        event: dict[str, Any] = {}
        if urn:
            event["urn"] = urn
        if severity not in (INFO, INFO_ERR):
            event["prefix"] = f"{severity}: "
        text = self.filtered(message)
        event["message"] = text if text.endswith("\n") else text + "\n"
        event["color"] = "never"
        event["severity"] = severity
        if stream:
            event["streamID"] = stream
        if ephemeral:
            event["ephemeral"] = True
        self._listener({"diagnosticEvent": event})

    def error(self, message: str, urn: str = "") -> None:
        """Show an error."""
        self._told.add(message)
        self.diagnostic(ERROR, message, urn)

    def was_told(self, message: str) -> bool:
        """Say whether this error was shown already."""
        return message in self._told

    def warning(self, message: str, urn: str = "") -> None:
        """Show a warning."""
        self.diagnostic(WARNING, message, urn)

    def prelude(self, config: dict[str, str]) -> None:
        """Tell that the update begins; values of secret config are masked already."""
        self._listener({"preludeEvent": {"config": config}})

    def summary(
        self,
        *,
        preview: bool,
        seconds: float,
        changes: dict[str, int],
        packs: dict[str, str],
        broken_packs: list[str],
        result: str,
        corrupt: bool,
    ) -> None:
        """Tell what the update did; the packs that raised are under a key of ours, which the CLI does not have."""
        event: dict[str, Any] = {
            "maybeCorrupt": corrupt,
            "durationSeconds": math.ceil(seconds),
            "resourceChanges": dict(changes),
            "PolicyPacks": packs,
            "isPreview": preview,
            "result": result,
        }
        self._listener({"summaryEvent": event | ({"brokenPolicyPacks": broken_packs} if broken_packs else {})})

    def cancelled(self) -> None:
        """Tell that there will be no more events."""
        self._listener({"cancelEvent": {}})

    def before_step(self, step: Step, *, planning: bool, internal: bool) -> None:
        """Tell that a step begins."""
        self._resource_event("resourcePreEvent", step.op, step, planning=planning, internal=internal)

    def after_step(self, op: str, step: Step, *, planning: bool, internal: bool) -> None:
        """Tell that a step succeeded, or that a component got its outputs."""
        self._resource_event("resOutputsEvent", op, step, planning=planning, internal=internal)

    def step_failed(self, step: Step, status: int, steps: int) -> None:
        """Tell that a step failed; a diagnostic has said why."""
        event = {"metadata": self._metadata(step.op, step), "status": status, "steps": steps}
        self._listener({"resOpFailedEvent": event})

    def policy_loading(self) -> None:
        """Tell that policy packs are being loaded."""
        self._listener({"policyLoadEvent": {}})

    def policy_violation(self, urn: str, finding: dict[str, Any]) -> None:
        """Tell of a violation; `finding` has the keys of `apitype.PolicyEvent` but for the URN and the colours."""
        event = {"resourceUrn": urn, **finding, "message": self.filtered(finding["message"]), "color": "never"}
        self.findings.append(event)
        self._listener({"policyEvent": event})

    def policy_remediation(self, urn: str, finding: dict[str, Any], before: Any, after: Any) -> None:
        """Tell that a policy changed a resource's properties."""
        event = {
            "resourceUrn": urn,
            "color": "never",
            **finding,
            "before": masked(before, show_secrets=self._show_secrets),
            "after": masked(after, show_secrets=self._show_secrets),
        }
        self.findings.append(event)
        self._listener({"policyRemediationEvent": event})

    def policy_summary(self, kind: str, summary: dict[str, Any]) -> None:
        """Tell which policies of a pack passed; `kind` is "Analyze", "Remediate" or "AnalyzeStack"."""
        self._listener({f"policy{kind}SummaryEvent": summary})

    def _resource_event(self, key: str, op: str, step: Step, *, planning: bool, internal: bool) -> None:
        event: dict[str, Any] = {"metadata": self._metadata(op, step)}
        if planning:
            event["planning"] = True
        if internal:
            event["internal"] = True
        self._listener({key: event})

    def _metadata(self, op: str, step: Step) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "op": op,
            "urn": step.urn,
            "type": step.type,
            "old": self._state(step.old),
            "new": self._state(step.new),
        }
        if step.keys:
            metadata["keys"] = step.keys
        if step.diffs:
            metadata["diffs"] = step.diffs
        metadata["detailedDiff"] = (
            None
            if step.detailed_diff is None
            else {
                key: {"diffKind": diff.kind, "inputDiff": diff.input_diff} for key, diff in step.detailed_diff.items()
            }
        )
        if step.logical:
            metadata["logical"] = True
        metadata["provider"] = step.provider
        return metadata

    def _state(self, state: ResourceState | None) -> dict[str, Any] | None:
        if state is None:
            return None
        data: dict[str, Any] = {"type": state.type, "urn": state.urn}
        for key, value in (("custom", state.custom), ("delete", state.delete)):
            if value:
                data[key] = True
        data["id"] = state.id
        data["parent"] = state.parent
        flags = {
            "protect": state.protect,
            "taint": state.taint,
            "external": state.external,
            "retainOnDelete": state.retain_on_delete,
        }
        data.update({key: True for key, value in flags.items() if value})
        data["inputs"] = self._shown(state.inputs)
        data["outputs"] = self._shown(state.outputs)
        data["provider"] = state.provider
        if state.init_errors:
            data["initErrors"] = [self.filtered(text) for text in state.init_errors]
        if state.hide_diff:
            data["hideDiffs"] = state.hide_diff
        return data

    def _shown(self, properties: dict[str, Any]) -> Any:
        return masked(properties, show_secrets=self._show_secrets)
