"""The live tree of a terminal: every resource below its parent, what happens to it now, and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pulumi_embedded.display import words
from pulumi_embedded.display.data_stores import WORDS
from pulumi_embedded.display.model import Model, Row
from pulumi_embedded.display.values import short_diff

_STYLES = {
    words.RED: "red", words.GREEN: "green", words.YELLOW: "yellow", words.MAGENTA: "magenta", words.CYAN: "cyan",
    words.BLUE: "blue",
}  # fmt: skip
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_A_SECOND = 8


_GAPS, _LEAST_INFO, _LEAST_NAME = 8, 18, 12
"""Columns between the columns; and what is left to the last one, "data will be lost", and to names."""


def _widths(total: int, heads: Sequence[str], cells: Sequence[tuple[Text, ...]]) -> list[int]:
    """Return the width of each column in a terminal of `total` columns: what happens is never cut, the rest may be."""
    wanted = [max([cell_len(head), *(row[index].cell_len for row in cells)]) for index, head in enumerate(heads)]
    mark, kind, name, status, info = wanted
    left = max(total - _GAPS - 2 - status, 3)
    info = min(info, max(_LEAST_INFO, left - kind - name))
    left = max(left - info, 2)
    name = min(name, max(_LEAST_NAME, left - kind, left // 2))
    return [max(mark, 2), max(1, min(kind, left - name)), name, status, info]


def _ending(kind: Text, width: int) -> Text:
    """Return a type that is too long without its middle: the tree before it and its last part tell most."""
    text = kind.plain
    if kind.cell_len <= width:
        return kind
    start = len(text) - len(text.lstrip("│├└─ "))
    return Text(f"{text[:start]}…{text[start:][-max(1, width - start - 1) :]}")


class LiveDisplay:
    """Draws an update in place. The last state of the tree stays on the screen."""

    def __init__(self, model: Model, out: TextIO, *, colored: bool, urns: bool = False) -> None:
        """Draw `model` on `out`, a terminal."""
        self._model = model
        self._urns = urns
        self._closed = False
        self._lock = threading.RLock()
        self._started = time.monotonic()
        self._console = Console(
            file=out, force_terminal=True, no_color=not colored, highlight=False, soft_wrap=False, markup=False
        )
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=_FRAMES_A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()

    info_is_printed = False
    """What the program prints is shown at the end."""

    def take(self, event: dict[str, Any]) -> None:
        """Learn from one event; the picture follows by itself."""
        with self._lock:
            self._model.take(event)

    def close(self) -> None:
        """Leave the last picture, unabridged, and stop drawing."""
        if not self._closed:
            self._closed = True
            self._live.stop()
            self._console.print()

    def _render(self) -> Group:
        with self._lock:  # the drawing thread looks while events arrive
            return self._picture()

    def _picture(self) -> Group:
        rows = self._visible()
        budget = max(self._console.size.height - 4, 5)
        hidden = 0
        if not self._closed and len(rows) > budget:
            # While it runs the finished give way: what is going on is what one looks for.
            running = [item for item in rows if not item[1].done]
            keep = {id(row) for _, row in (running + [item for item in rows if item[1].done][::-1])[:budget]}
            shown = [item for item in rows if id(item[1]) in keep]
            hidden, rows = len(rows) - len(shown), shown
        cells = [self._cells(prefix, row) for prefix, row in rows]
        heads = (" ", "Type", "Name", "Status" if not self._model.preview else "Plan", "Info")
        widths = _widths(self._console.size.width, heads, cells)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold magenta", show_edge=False)
        for head, width in zip(heads, widths, strict=True):
            table.add_column(head, no_wrap=True, overflow="ellipsis", width=width)
        for mark, kind, *others in cells:
            table.add_row(mark, _ending(kind, widths[1]), *others)
        elapsed = int(time.monotonic() - self._started)
        frame = _SPINNER[int(time.monotonic() * _FRAMES_A_SECOND) % len(_SPINNER)]
        doing = "previewing" if self._model.preview else "updating"
        foot = Text("") if self._closed else Text(f"{frame} {doing}... {elapsed}s", style="yellow")
        if hidden:
            foot.append(f"  (and {hidden} more)", style="dim")
        return Group(table, foot)

    def _visible(self) -> list[tuple[str, Row]]:
        wanted = {
            row.urn
            for row in self._model.rows.values()
            if row.is_stack or self._model.shown(row) or row.diagnostics or (row.metadata and not row.done)
        }
        children: dict[str, list[Row]] = {}
        for row in self._model.rows.values():
            if row.urn in wanted and not row.is_stack:
                parent = row.parent if row.parent in wanted else self._model.stack_urn
                children.setdefault(parent, []).append(row)
        result: list[tuple[str, Row]] = []

        def walk(row: Row, own: str, inner: str) -> None:
            result.append((own, row))
            below = children.get(row.urn, [])
            for number, child in enumerate(below, 1):
                last = number == len(below)
                walk(child, inner + ("└─ " if last else "├─ "), inner + ("   " if last else "│  "))

        walk(self._model.row(self._model.stack_urn), "", "")
        return result

    def _cells(self, prefix: str, row: Row) -> tuple[Text, Text, Text, Text, Text]:
        operation = row.operation
        style = _STYLES.get(words.COLORS.get(operation, ""), "")
        mark = Text(words.MARKS.get(operation, "  "), style=style)
        name = Text(row.urn if self._urns else row.name)
        info = Text(short_diff(row.metadata))
        if row.data_lost and (self._model.preview or not row.done):
            info = Text(f"{WORDS} ", style="bold red") + info
        for severity, word, color in (("error", "error", "red"), ("warning", "warning", "yellow")):
            count = self._model.count(row, severity)
            if count:
                info = info + Text(f" {words.plural(count, word)}", style=color)
        if row.status and not row.done:
            info = info + Text(f" {row.status}", style="dim")
        return mark, Text(prefix + row.type), name, Text(self._status(row), style="red" if row.failed else style), info

    def _status(self, row: Row) -> str:
        operation = row.operation
        if row.failed:
            return f"**{words.FAILED.get(operation) or 'failed'}**"
        if self._model.preview:
            return words.PLANNED.get(operation, operation)
        if not row.metadata:
            return ""
        if not row.done:
            running = "running" if row.is_stack and operation == "same" else words.RUNNING.get(operation, operation)
            return f"{running} ({int(time.monotonic() - row.started)}s)" if running else ""
        done = words.DONE.get(operation, operation)
        took = row.finished - row.started
        return f"{done} ({took:.1f}s)" if done and took > 0 else done
