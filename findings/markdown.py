"""Findings as a Markdown table: the body of a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from findings.finding import Finding, ordered


def markdown(findings: Sequence[Finding]) -> str:
    """A heading that counts, and a row a finding. Text of findings cannot break out of its cell."""
    if not findings:
        return "**No findings.**\n"
    blocking = sum(f.blocks for f in findings)
    rows = [
        f"| {'**blocks**' if f.blocks else 'warns'} | {f.severity.value} | `{_cell(f.place)}` "
        f"| {_cell(f.message)} | {_cell(f.fix)} | {_cell(f.rule)} |"
        for f in ordered(findings)
    ]
    head = [
        f"**{len(findings)} findings, {blocking} of them block.**",
        "",
        "| | severity | where | what | fix | rule |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
