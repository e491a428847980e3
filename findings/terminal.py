"""Findings as lines for a terminal. No colour here: the caller's console has it or has not."""

from __future__ import annotations

from collections.abc import Sequence

from findings.finding import Finding, ordered


def terminal(findings: Sequence[Finding]) -> str:
    """Two lines a finding, what is wrong and how to mend it, and a last line that counts."""
    if not findings:
        return "No findings.\n"
    lines = []
    for finding in ordered(findings):
        mark = "✗" if finding.blocks else "!"
        lines.append(f"{mark} {finding.place}: {finding.message} [{finding.rule}, {finding.severity.value}]")
        lines.append(f"  fix: {finding.fix}")
    lines.append(_counted(len(findings), sum(f.blocks for f in findings)))
    return "\n".join(lines) + "\n"


def _counted(findings: int, blocking: int) -> str:
    if findings == 1:
        return "1 finding, which blocks." if blocking else "1 finding, which only warns."
    return f"{findings} findings, {blocking} of them block."
