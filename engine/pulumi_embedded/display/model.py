"""What is known of an update from its events so far; the plain and the live display both draw from it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from pulumi_embedded.display.data_stores import loses_data
from pulumi_embedded.urn import ROOT_STACK_TYPE, urn_name, urn_type


@dataclass
class Row:
    """One resource of the display."""

    urn: str
    type: str
    parent: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    started: float = 0.0
    finished: float = 0.0
    failed: bool = False
    done: bool = False
    data_lost: bool = False
    status: str = ""
    diagnostics: list[dict[str, Any]] = field(default_factory=list)

    @property
    def operation(self) -> str:
        """The step's operation."""
        return str(self.metadata.get("op", "same"))

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return urn_name(self.urn)

    @property
    def is_stack(self) -> bool:
        """True for the root stack."""
        return self.type == ROOT_STACK_TYPE


@dataclass
class Model:
    """Everything that a display shows, kept up to date by `take`."""

    stack_urn: str
    preview: bool
    show_sames: bool = False
    show_reads: bool = False
    show_replacement_steps: bool = False
    show_debug: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    summary: dict[str, Any] | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)
    remediations: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, str] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    settled: list[Row] = field(default_factory=list)

    def row(self, urn: str) -> Row:
        """Return the row of a resource, the stack's for messages that belong to none."""
        urn = urn or self.stack_urn
        if urn not in self.rows:
            self.rows[urn] = Row(urn, urn_type(urn))
        return self.rows[urn]

    def take(self, event: dict[str, Any]) -> Row | None:
        """Learn from one event; return the row that it changed and that should be shown now, None for no row."""
        for key in ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"):
            if key in event:
                return self._step(key, event[key])
        if "diagnosticEvent" in event:
            return self._diagnostic(event["diagnosticEvent"])
        if "policyEvent" in event:
            self.findings.append(event["policyEvent"])
        elif "policyRemediationEvent" in event:
            self.remediations.append(event["policyRemediationEvent"])
        elif "summaryEvent" in event:
            self.summary = event["summaryEvent"]
            self._settle()
        elif "preludeEvent" in event:
            self.config = event["preludeEvent"].get("config") or {}
        return None

    def _step(self, key: str, event: dict[str, Any]) -> Row | None:
        metadata = event["metadata"]
        if event.get("internal"):
            return None
        row = self.row(str(metadata["urn"]))
        if key == "resourcePreEvent":
            row.started, row.done, row.failed = time.monotonic(), False, False
            self.steps.append(metadata)
        else:
            row.finished, row.done = time.monotonic(), True
            row.failed = row.failed or key == "resOpFailedEvent"
        # Two physical steps make one replacement: it keeps its name while they run, and the diff it was decided by.
        previous = row.metadata
        row.metadata = metadata
        if previous.get("op") == "replace" and metadata.get("op") in ("create-replacement", "delete-replaced"):
            row.metadata = {**metadata, "detailedDiff": metadata.get("detailedDiff") or previous.get("detailedDiff")}
        row.type = str(metadata.get("type") or row.type)
        state = metadata.get("new") or metadata.get("old") or {}
        row.parent = str(state.get("parent") or row.parent)
        row.data_lost = row.data_lost or loses_data(metadata)
        return row if self.shown(row) else None

    def _settle(self) -> None:
        """Components end with the update: nothing else tells when their last child is made."""
        self.settled = [row for row in self.rows.values() if row.metadata and not row.done and not row.failed]
        succeeded = (self.summary or {}).get("result", "succeeded") == "succeeded"
        for row in self.settled:
            row.done = succeeded
            row.finished = row.started

    def shown(self, row: Row) -> bool:
        """Say whether a row is worth a line."""
        operation = row.operation
        if row.failed:
            return True
        if operation == "same":
            old, new = row.metadata.get("old") or {}, row.metadata.get("new") or {}
            return self.show_sames or bool(old.get("protect")) != bool(new.get("protect"))
        if operation in ("read", "discard", "read-replacement", "discard-replaced"):
            return self.show_reads
        return operation != "remove-pending-replace"

    def _diagnostic(self, event: dict[str, Any]) -> Row | None:
        if event.get("severity") == "debug" and not self.show_debug:
            return None
        row = self.row(str(event.get("urn") or ""))
        text = str(event.get("message", "")).strip()
        if event.get("ephemeral"):
            row.status = text.splitlines()[0] if text else ""
        elif text:
            row.diagnostics.append(event)
        return row

    def count(self, row: Row, severity: str) -> int:
        """Return how many diagnostics of a severity (`info` counts both kinds) a resource has."""
        return sum(1 for event in row.diagnostics if str(event.get("severity", "")).split("#")[0] == severity)

    @property
    def errored(self) -> int:
        """How many resources have an error."""
        return sum(1 for row in self.rows.values() if row.failed or self.count(row, "error"))

    @property
    def losing(self) -> list[Row]:
        """The resources whose data is or would be lost."""
        return [row for row in self.rows.values() if row.data_lost]
