"""`--diff`: each changed resource with its properties before and after."""

from __future__ import annotations

from typing import Any

from pulumi_embedded.display import words
from pulumi_embedded.display.data_stores import WORDS, loses_data
from pulumi_embedded.display.model import Model
from pulumi_embedded.display.values import diff, shown, tree
from pulumi_embedded.display.words import Paint
from pulumi_embedded.urn import ROOT_STACK_TYPE


def diff_view(model: Model, paint: Paint, *, full: bool) -> list[str]:
    """Return the whole change, in the order of the steps."""
    lines: list[str] = []
    for metadata in model.steps:
        operation = str(metadata.get("op"))
        if metadata.get("type") == ROOT_STACK_TYPE:
            lines += _head(metadata, paint, 0)
        elif _wanted(model, operation, metadata):
            lines += _head(metadata, paint, 4)
            lines += _body(metadata, operation, paint, full=full)
    return lines


def _wanted(model: Model, operation: str, metadata: dict[str, Any]) -> bool:
    if operation == "same":
        return model.show_sames
    if operation in ("read", "discard"):
        return model.show_reads
    if operation in ("create-replacement", "delete-replaced", "discard-replaced", "read-replacement"):
        return model.show_replacement_steps or bool(metadata.get("logical"))
    return operation != "remove-pending-replace"


def _head(metadata: dict[str, Any], paint: Paint, indent: int) -> list[str]:
    operation = str(metadata.get("op"))
    pad = " " * indent
    state = metadata.get("old") or metadata.get("new") or {}
    flags = " 🔒" if state.get("protect") else ""
    lost = paint(f"  {WORDS}", "1;31") if loses_data(metadata) else ""
    head = f"{words.MARKS.get(operation, '  ')}{metadata.get('type')}: ({operation}){flags}"
    lines = [pad + paint.operation(head, operation) + lost]
    if state.get("id"):
        lines.append(f"{pad}    [id={state['id']}]")
    lines.append(f"{pad}    [urn={metadata.get('urn')}]")
    return lines


def _body(metadata: dict[str, Any], operation: str, paint: Paint, *, full: bool) -> list[str]:
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    before, after = shown(old.get("inputs") or {}), shown(new.get("inputs") or {})
    if operation in ("delete", "delete-replaced", "discard"):
        return [paint.operation(line, "delete") for line in tree(before, 8, full=full)] if full else []
    if not old or operation in ("create", "import", "same"):
        return [paint.operation(line, operation) for line in tree(after, 8, full=full)]
    lines = diff(before, after, paint, 8, full=full)
    if not lines:
        # What the provider saw changed (drift) is in the outputs; hidden paths stay hidden.
        hidden = {str(path[0]) for path in new.get("hideDiffs") or [] if path}
        was, now = shown(old.get("outputs") or {}), shown(new.get("outputs") or {})
        lines = (
            diff(
                {key: value for key, value in was.items() if key not in hidden},
                {
                    key: value
                    for key, value in now.items()
                    if key not in hidden and (operation == "refresh" or key in was)
                },
                paint,
                8,
                full=full,
            )
            if now
            else []
        )
    reasons = metadata.get("keys") or []
    if operation in ("replace", "create-replacement") and reasons:
        lines.append(" " * 8 + paint(f"[replaced because of: {', '.join(map(str, reasons))}]", words.MAGENTA))
    return lines
