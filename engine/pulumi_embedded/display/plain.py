"""Plain lines, for CI and pipes: one when a step starts, one when it ends, in the CLI's words."""

from __future__ import annotations

from typing import Any, TextIO

from pulumi_embedded.display import words
from pulumi_embedded.display.data_stores import WORDS
from pulumi_embedded.display.model import Model, Row
from pulumi_embedded.display.values import short_diff
from pulumi_embedded.display.words import Paint


class PlainDisplay:
    """Prints an update line by line."""

    def __init__(self, model: Model, out: TextIO, paint: Paint, *, urns: bool = False) -> None:
        """Draw `model` on `out`; `urns` shows whole URNs for names."""
        self._model = model
        self._out = out
        self._paint = paint
        self._urns = urns
        self._last: dict[str, str] = {}

    info_is_printed = True
    """What the program prints stands among the lines as it comes, so it is not repeated at the end."""

    def take(self, event: dict[str, Any]) -> None:
        """Show one event."""
        row = self._model.take(event)
        if "summaryEvent" in event:
            for settled in self._model.settled:
                if self._model.shown(settled) and settled.done:
                    self._line(settled)
        if row is None:
            return
        if "diagnosticEvent" in event:
            self._message(row, event["diagnosticEvent"])
        else:
            self._line(row)

    def _line(self, row: Row) -> None:
        line = describe(self._model, row, self._paint, urns=self._urns)
        if self._last.get(row.urn) != line:
            self._last[row.urn] = line
            self._print(line)

    def _message(self, row: Row, event: dict[str, Any]) -> None:
        severity = str(event.get("severity", ""))
        if not severity.startswith("info"):
            return
        name = row.urn if self._urns else row.name
        for line in str(event.get("message", "")).rstrip().splitlines():
            self._print(f"    {row.type} {name} {line}".rstrip())

    def _print(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()

    def close(self) -> None:
        """Nothing to take down."""


def describe(model: Model, row: Row, paint: Paint, *, urns: bool = False) -> str:
    """Return a row's line: mark, type, name, what happens, what changed, and whether data will be lost."""
    operation = row.operation
    mark = paint.operation(words.MARKS.get(operation, "  "), operation)
    parts = [f" {mark} {row.type} {row.urn if urns else row.name}"]
    if row.failed:
        parts.append(paint(f"**{words.FAILED.get(operation) or 'failed'}**", words.RED))
    elif model.preview:
        parts.append(paint.operation(words.PLANNED.get(operation, operation), operation))
    elif not row.done:
        parts.append(paint.operation(f"{words.RUNNING.get(operation, operation)} (0s)", operation))
    else:
        took = f" ({max(row.finished - row.started, 0):.2f}s)" if row.started and row.metadata.get("provider") else ""
        parts.append(paint.operation(words.DONE.get(operation, operation), operation) + took)
    changed = short_diff(row.metadata)
    if changed:
        parts.append(changed)
    if row.data_lost and (model.preview or not row.done):
        parts.append(paint(WORDS, "1;31"))
    return " ".join(part for part in parts if part).rstrip()
