"""Property values and their differences as people read them, in the CLI's layout."""

from __future__ import annotations

import json
from typing import Any

from pulumi_embedded.display.words import GREEN, RED, YELLOW, Paint
from pulumi_embedded.state.sealing import ARCHIVE_SIG, ASSET_SIG, MASK, RESOURCE_REFERENCE_SIG, SIG, UNKNOWN, is_secret

_STEP = 4
_ABSENT = object()
_LONGEST = 150


def scalar(value: Any, *, quoted: bool, full: bool = True) -> str:
    """Return a scalar, a secret, an unknown or an asset in one piece."""
    if is_secret(value) or value == MASK:
        return MASK
    if value is None:
        return "<null>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if value == UNKNOWN or value.startswith("04da6b54-80e4-46f7-96ec-b56ff033"):
            return "output<string>" if quoted else "[unknown]"
        if not full and len(value) > _LONGEST:
            value = value[:_LONGEST] + "..."
        return json.dumps(value, ensure_ascii=False) if quoted else value
    if isinstance(value, dict):
        signature = value.get(SIG)
        if signature in (ASSET_SIG, ARCHIVE_SIG):
            kind = "asset" if signature == ASSET_SIG else "archive"
            where = next((f"{key}:{value[key]}" for key in ("path", "uri") if value.get(key)), "text")
            return f"{kind}({where})"
        if signature == RESOURCE_REFERENCE_SIG:
            return str(value.get("urn", ""))
    return json.dumps(value, ensure_ascii=False)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list) or (isinstance(value, dict) and SIG in value)


def shown(properties: dict[str, Any]) -> dict[str, Any]:
    """Return properties without the engine's own (`__provider` and the like), sorted."""
    return {key: properties[key] for key in sorted(properties) if not key.startswith("__")}


def tree(properties: dict[str, Any], indent: int, *, quoted: bool = True, full: bool = True) -> list[str]:
    """Return one line a property, structures below one another, keys in a column."""
    width = max((len(key) for key in properties), default=0)
    lines: list[str] = []
    for key, value in properties.items():
        lines += _entry(f"{key:<{width}}: ", value, indent, quoted=quoted, full=full)
    return lines


def _entry(label: str, value: Any, indent: int, *, quoted: bool, full: bool) -> list[str]:
    pad = " " * indent
    if _is_plain(value):
        text = scalar(value, quoted=quoted, full=full)
        if "\n" in text and not quoted:
            text = text.replace("\n", "\n" + pad + " " * len(label))
        return [pad + label + text]
    if not value:
        return [pad + label + ("{}" if isinstance(value, dict) else "[]")]
    if isinstance(value, dict):
        inner = tree({key: value[key] for key in sorted(value)}, indent + _STEP, quoted=quoted, full=full)
        return [pad + label + "{", *inner, pad + "}"]
    lines = [pad + label + "["]
    for index, item in enumerate(value):
        lines += _entry(f"[{index}]: ", item, indent + _STEP, quoted=quoted, full=full)
    return [*lines, pad + "]"]


def diff(old: Any, new: Any, paint: Paint, indent: int, *, full: bool = True) -> list[str]:
    """Return what changed between two mappings of properties, unchanged parts left out."""
    lines: list[str] = []
    keys = sorted(set(old) | set(new))
    width = max((len(key) for key in keys if old.get(key, _ABSENT) != new.get(key, _ABSENT)), default=0)
    for key in keys:
        before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if before != after:
            lines += _change(f"{key:<{width}}: ", before, after, paint, indent, full=full)
    return lines


def _marked(mark: str, style: str, lines: list[str], paint: Paint) -> list[str]:
    result = []
    for line in lines:
        body = line.lstrip(" ")
        pad = len(line) - len(body)
        result.append(" " * max(pad - 2, 0) + paint(f"{mark} {body}", style))
    return result


def _change(label: str, before: Any, after: Any, paint: Paint, indent: int, *, full: bool) -> list[str]:
    if before is _ABSENT:
        return _marked("+", GREEN, _entry(label, after, indent, quoted=True, full=full), paint)
    if after is _ABSENT:
        return _marked("-", RED, _entry(label, before, indent, quoted=True, full=full), paint)
    pad = " " * max(indent - 2, 0)
    if isinstance(before, dict) and isinstance(after, dict) and not _is_plain(before) and not _is_plain(after):
        inner = diff(before, after, paint, indent + _STEP, full=full)
        return [pad + paint(f"~ {label}", YELLOW) + "{", *inner, " " * indent + "}"]
    if isinstance(before, list) and isinstance(after, list):
        lines = [pad + paint(f"~ {label}", YELLOW) + "["]
        for index in range(max(len(before), len(after))):
            one = before[index] if index < len(before) else _ABSENT
            two = after[index] if index < len(after) else _ABSENT
            if one != two:
                lines += _change(f"[{index}]: ", one, two, paint, indent + _STEP, full=full)
        return [*lines, " " * indent + "]"]
    if _is_plain(before) and _is_plain(after):
        change = f"~ {label}{scalar(before, quoted=True, full=full)} => {scalar(after, quoted=True, full=full)}"
        return [pad + paint(change, YELLOW)]
    return [
        *_marked("-", RED, _entry(label, before, indent, quoted=True, full=full), paint),
        *_marked("+", GREEN, _entry(label, after, indent, quoted=True, full=full), paint),
    ]


def short_diff(metadata: dict[str, Any]) -> str:
    """Return `[diff: +a,-b,~c]` of a step as an event tells of it, or nothing."""
    old, new = metadata.get("old"), metadata.get("new")
    if not old or not new or metadata.get("op") == "same":
        return ""
    marks = {"add": "+", "delete": "-", "update": "~"}
    found: dict[str, str] = {}
    detailed = metadata.get("detailedDiff")
    if detailed:
        for path, change in detailed.items():
            top = path.split(".")[0].split("[")[0]
            kind = str((change or {}).get("diffKind", "update")).removesuffix("-replace")
            mark = marks.get(kind, "~") if path == top else "~"
            found[top] = mark if found.get(top, mark) == mark else "~"
    else:
        before, after = old.get("inputs") or {}, new.get("inputs") or {}
        for key in set(before) | set(after):
            if before.get(key, _ABSENT) != after.get(key, _ABSENT):
                found[key] = "+" if key not in before else "-" if key not in after else "~"
        named = metadata.get("diffs")
        if named:
            found = {key: found.get(key, "~") for key in named}
    for key in ("provider", "protect", "taint"):
        if (old.get(key) or "") != (new.get(key) or ""):
            found[key] = "~"
    ordered = sorted(
        (item for item in found.items() if not item[0].startswith("__")), key=lambda i: ("+-~".index(i[1]), i)
    )
    return "[diff: " + ",".join(mark + key for key, mark in ordered) + "]" if ordered else ""
