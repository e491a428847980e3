"""The live tree in a narrow terminal: what happens to a resource is never what gives way."""

from __future__ import annotations

import io
import re

import pytest

from pulumi_embedded.display.live import LiveDisplay
from pulumi_embedded.display.model import Model

STACK = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"
KIND = "pulumi-python:dynamic/components.local.database:PostgresDatabase"
NAME = "a-resource-whose-name-is-rather-long-for-a-terminal-of-eighty-columns"


def _event(kind: str, urn: str, op: str) -> dict[str, object]:
    state = {"type": urn.split("::")[2], "urn": urn, "custom": True, "id": "x", "parent": STACK, "inputs": {}}
    return {kind: {"metadata": {"op": op, "urn": urn, "type": state["type"], "old": state, "new": state}}}


def _picture(monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "40")
    model = Model(stack_urn=STACK, preview=True, show_sames=False, show_reads=False, show_replacement_steps=False)
    out = io.StringIO()
    display = LiveDisplay(model, out, colored=False)
    for op, name in (("update", NAME), ("replace", "orders"), ("delete", f"{NAME}2")):
        urn = f"urn:pulumi:dev::proj::{KIND}::{name}"
        display.take(_event("resourcePreEvent", urn, op))
        display.take(_event("resOutputsEvent", urn, op))
    table = display._picture().renderables[0]
    display.close()
    with display._console.capture() as capture:
        display._console.print(table)
    return re.sub(r"\x1b\[[0-9;]*m", "", capture.get()).splitlines()


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_operation_stands_in_full_at_every_width(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Types lose their middle and names their end instead."""
    lines = _picture(monkeypatch, columns)
    assert all(len(line) <= columns for line in lines)
    assert "Plan" in lines[0]
    text = "\n".join(lines)
    for word in (" update ", " replace ", " delete ", "orders"):
        assert word in text, text
    assert lines[2].startswith("~ ")


def test_a_wide_terminal_shows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cut where there is room."""
    text = "\n".join(_picture(monkeypatch, 200))
    assert KIND in text
    assert f"{NAME}2" in text
    assert "…" not in text
