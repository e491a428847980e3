"""The end of an update's display: diagnostics once, policies, outputs, resources, duration."""

from __future__ import annotations

from typing import Any

from pulumi_embedded.display import words
from pulumi_embedded.display.data_stores import WORDS
from pulumi_embedded.display.model import Model, Row
from pulumi_embedded.display.values import shown, tree
from pulumi_embedded.display.words import HEADLINE, Paint, plural

_RANKS = {"remediate": 0, "mandatory": 1, "advisory": 2, "disabled": 3}


def diagnostics(model: Model, paint: Paint, *, info: bool = True) -> list[str]:
    """Return the messages, grouped by resource in the order in which resources spoke first.

    Args:
        model: the update.
        paint: colours.
        info: also those without a severity (what the program printed); not when they were printed as they came.
    """
    lines: list[str] = []
    for row in model.rows.values():
        blocks = [event for event in row.diagnostics if info or not str(event.get("severity", "")).startswith("info")]
        if not blocks:
            continue
        lines.append(f"  {paint(f'{row.type} ({row.name}):', words.BLUE)}")
        previous = None
        for event in blocks:
            if previous is not None and event.get("streamID", 0) != previous:
                lines.append("")
            previous = event.get("streamID", 0)
            lines += _message(event, paint)
        lines.append("")
    return [paint("Diagnostics:", HEADLINE), *lines] if lines else []


def _message(event: dict[str, Any], paint: Paint) -> list[str]:
    severity = str(event.get("severity", ""))
    style = {"error": words.RED, "warning": words.YELLOW}.get(severity, "")
    text = str(event.get("message", "")).rstrip()
    first, *rest = text.splitlines() or [""]
    prefix = paint(str(event.get("prefix") or ""), style)
    return [f"    {prefix}{first}".rstrip(), *(f"    {line}".rstrip() for line in rest)]


def policies(model: Model, paint: Paint) -> list[str]:
    """Return the packs that ran and what each found, the worst first."""
    summary = model.summary or {}
    packs: dict[str, str] = summary.get("PolicyPacks") or {}
    labels = {name: f"{name.partition('|')[0]}@v{version}" for name, version in packs.items()}
    keys = set(labels.values())
    broken = {labels.get(name) for name in summary.get("brokenPolicyPacks") or []}
    keys |= {_pack(event) for event in (*model.findings, *model.remediations)}
    if not keys:
        return []
    lines = [paint("Policies:", HEADLINE)]
    for key in sorted(keys):
        found = [event for event in model.findings if _pack(event) == key]
        bad = key in broken or any(event.get("enforcementLevel") == "mandatory" for event in found)
        failed = " (failed: not every resource was judged)" if key in broken else ""
        lines.append(f"    {'❌' if bad else '⚠️' if found else '✅'} {paint(key, words.MAGENTA)}{failed}")
        changed: dict[str, int] = {}
        for event in model.remediations:
            if _pack(event) == key:
                changed[str(event.get("policyName"))] = changed.get(str(event.get("policyName")), 0) + 1
        for name, count in sorted(changed.items()):
            lines.append(f"        - {paint(f'[remediate]  {name}', words.MAGENTA)}  ({plural(count, 'resource')})")
        for event in sorted(found, key=_rank):
            lines += _finding(event, paint)
    return [*lines, ""]


def _pack(event: dict[str, Any]) -> str:
    return f"{event.get('policyPackName')}@v{event.get('policyPackVersion')}"


def _rank(event: dict[str, Any]) -> tuple[int, str, str]:
    level = _RANKS.get(str(event.get("enforcementLevel")), 4)
    return level, str(event.get("policyName")), str(event.get("resourceUrn") or "")


def _finding(event: dict[str, Any], paint: Paint) -> list[str]:
    level = str(event.get("enforcementLevel"))
    style = words.RED if level == "mandatory" else words.YELLOW
    row = Row(str(event.get("resourceUrn") or ""), "")
    where = ""
    if row.urn:
        from pulumi_embedded.urn import urn_type

        where = f"  ({urn_type(row.urn)}: {row.name})"
    message = str(event.get("message", "")).strip().splitlines()
    title = f"[{level}]  {event.get('policyName')}"
    return [
        f"        - {paint(title, style)}{where}",
        *(f"          {line}".rstrip() for line in message),
    ]


def outputs(values: dict[str, Any], paint: Paint) -> list[str]:
    """Return the stack's outputs."""
    lines = tree(shown(values), 4)
    return [paint("Outputs:", HEADLINE), *lines, ""] if lines else []


def losses(model: Model, paint: Paint) -> list[str]:
    """Return, in red, the data stores that are or would be deleted or replaced."""
    rows = model.losing
    if not rows:
        return []
    title = "Data will be lost:" if model.preview else "Data was in these, which were deleted or replaced:"
    lines = [f"    {paint(f'{row.type} {row.name}: {_loss(model, row)}', '1;31')}" for row in rows]
    return [paint(title, "1;31"), *lines, ""]


def _loss(model: Model, row: Row) -> str:
    verb = "replaced" if "replace" in row.operation else "deleted"
    return f"would be {verb}, {WORDS}" if model.preview else f"was {verb}"


def resources(model: Model, paint: Paint) -> list[str]:
    """Return the counts of changes, and the duration when something was done."""
    summary = model.summary or {}
    changes: dict[str, int] = summary.get("resourceChanges") or {}
    lines = [paint("Resources:", HEADLINE)]
    kinds = [operation for operation in words.ORDER if operation not in words.QUIET and changes.get(operation)]
    for operation in kinds:
        what = f"to {operation}" if model.preview else words.PAST.get(operation, operation)
        lines.append("    " + paint.operation(f"{words.MARKS[operation]}{changes[operation]} {what}", operation))
    pieces = []
    if len(kinds) >= 2:
        pieces.append(paint(plural(sum(changes[kind] for kind in kinds), "change"), words.BOLD))
    if changes.get("same"):
        pieces.append(f"{changes['same']} unchanged")
    if pieces:
        lines.append("    " + ". ".join(pieces))
    if model.errored:
        lines.append("    " + paint(f"{model.errored} errored", words.RED))
    if not model.preview:
        lines += ["", f"{paint('Duration:', HEADLINE)} {duration(int(summary.get('durationSeconds', 0)))}"]
    return [*lines, ""]


def duration(seconds: int) -> str:
    """Return `3s`, `1m3s`, `1h0m3s`, as Go prints durations."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
