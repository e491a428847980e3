"""`preview --json`: the CLI's digest of a preview, and the policies' findings under a key of ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulumi_embedded.display.model import Model
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.state.sealing import mask
from pulumi_embedded.urn import ROOT_STACK_TYPE

_STATE_KEYS = ("protect", "taint", "external", "delete", "retainOnDelete")


class Digest:
    """Collects a preview's events and returns one JSON document."""

    def __init__(self, model: Model, base: Iterable[ResourceState] = ()) -> None:
        """Collect for `model`, which learns from the same events; `base` is the state that the preview starts from."""
        self._model = model
        self._base = {state.urn: state for state in base if not state.delete}
        self._steps: list[dict[str, Any]] = []
        self._diagnostics: list[dict[str, Any]] = []

    def take(self, event: dict[str, Any]) -> None:
        """Learn from one event."""
        self._model.take(event)
        if "diagnosticEvent" in event:
            self._diagnostic(event["diagnosticEvent"])
        elif "stdoutEvent" in event:
            self._diagnostics.append({"message": str(event["stdoutEvent"].get("message", "")), "severity": "info"})
        elif "resourcePreEvent" in event:
            self._step(event["resourcePreEvent"])
        elif "resOutputsEvent" in event:
            self._refreshed(event["resOutputsEvent"])

    def _diagnostic(self, event: dict[str, Any]) -> None:
        if event.get("ephemeral") or event.get("severity") == "debug":
            return
        entry = {"urn": event["urn"]} if event.get("urn") else {}
        message = f"{event.get('prefix') or ''}{event.get('message', '')}"
        self._diagnostics.append({**entry, "message": message, "severity": str(event.get("severity", "info"))})

    def _step(self, event: dict[str, Any]) -> None:
        metadata = event["metadata"]
        if event.get("internal") or not self._wanted(metadata):
            return
        self._steps.append(self._described(metadata))

    def _wanted(self, metadata: dict[str, Any]) -> bool:
        operation = metadata.get("op")
        if metadata.get("type") == ROOT_STACK_TYPE:
            return True
        if operation == "same":
            return self._model.show_sames
        replacement = operation in ("create-replacement", "delete-replaced", "discard-replaced", "read-replacement")
        return not replacement or bool(metadata.get("logical")) or self._model.show_replacement_steps

    def _refreshed(self, event: dict[str, Any]) -> None:
        """A refresh knows only afterwards whether it found an update or a deletion."""
        metadata = event["metadata"]
        for index, step in enumerate(self._steps):
            if step["urn"] != metadata.get("urn") or step["op"] != "refresh":
                continue
            if metadata.get("op") == "delete" or (metadata.get("op") == "update" and metadata.get("detailedDiff")):
                self._steps[index] = self._described(metadata)

    def _described(self, metadata: dict[str, Any]) -> dict[str, Any]:
        step = _step(metadata)
        base = self._base.get(str(metadata.get("urn")))
        if base is not None and "oldState" in step:
            # Events tell of a state in short; the whole of the old one is known here.
            step["oldState"] = mask(base.to_json())
        return step

    def result(self, duration_seconds: float) -> dict[str, Any]:
        """Return the document."""
        summary = self._model.summary or {}
        document: dict[str, Any] = {}
        if self._model.config:
            document["config"] = self._model.config
        if self._steps:
            document["steps"] = self._steps
        if self._diagnostics:
            document["diagnostics"] = self._diagnostics
        document["duration"] = int(duration_seconds * 1_000_000_000)
        document["changeSummary"] = summary.get("resourceChanges") or {}
        if summary.get("maybeCorrupt"):
            document["maybeCorrupt"] = True
        findings = [*self._model.findings, *({**event, "remediated": True} for event in self._model.remediations)]
        if findings:
            document["policyFindings"] = [mask(finding) for finding in findings]
        return document


def _step(metadata: dict[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = {"op": metadata.get("op"), "urn": metadata.get("urn")}
    if metadata.get("provider"):
        step["provider"] = metadata["provider"]
    for key, name in (("old", "oldState"), ("new", "newState")):
        if metadata.get(key):
            step[name] = _state(metadata[key])
    if metadata.get("diffs"):
        step["diffReasons"] = metadata["diffs"]
    if metadata.get("keys"):
        step["replaceReasons"] = metadata["keys"]
    detailed = metadata.get("detailedDiff")
    step["detailedDiff"] = (
        None
        if detailed is None
        else {
            path: {"kind": change.get("diffKind"), "inputDiff": bool(change.get("inputDiff"))}
            for path, change in detailed.items()
        }
    )
    return step


def _state(state: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {"urn": state.get("urn"), "custom": bool(state.get("custom"))}
    if state.get("id"):
        data["id"] = state["id"]
    data["type"] = state.get("type")
    for key in ("inputs", "outputs"):
        if state.get(key):
            data[key] = mask(state[key])
    for key in ("parent", *_STATE_KEYS, "provider", "initErrors"):
        if state.get(key):
            data[key] = state[key]
    return data
