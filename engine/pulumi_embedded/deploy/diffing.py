"""What differs between two sets of properties, and what that means for a resource: update it or replace it.

Sources: pulumi `sdk/go/common/resource/properties_diff.go`, `pkg/resource/plugin/provider.go`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pulumi_embedded.deploy.property_path import Path, contains, parse_path, path_text
from pulumi_embedded.properties import Properties, contains_unknowns, deep_equals, has_value, signature, without_secrets

NONE, SOME, UNKNOWN_CHANGES = "none", "some", "unknown"
INIT_ERROR_KEY = "#initerror"
"""Stands in `replaceOnChanges` for "the last create or update left initialization errors"."""

_INVERTED = {
    "add": "delete",
    "delete": "add",
    "update": "update",
    "add-replace": "delete-replace",
    "delete-replace": "add-replace",
    "update-replace": "update-replace",
}


@dataclass(frozen=True, slots=True)
class PropertyDiff:
    """One difference: "add", "delete" or "update", with "-replace" where it forces a replacement."""

    kind: str
    input_diff: bool = False

    @property
    def replaces(self) -> bool:
        """True when this difference forces a replacement."""
        return self.kind.endswith("-replace")


class DiffUnavailableError(Exception):
    """A provider that cannot say what would change, because its own configuration is not known yet."""


@dataclass(slots=True)
class DiffResult:
    """A provider's verdict. `detailed` is None when the provider gave none."""

    changes: str = NONE
    replace_keys: list[str] = field(default_factory=list)
    stable_keys: list[str] = field(default_factory=list)
    changed_keys: list[str] = field(default_factory=list)
    detailed: dict[str, PropertyDiff] | None = None
    delete_before_replace: bool = False

    @property
    def replaces(self) -> bool:
        """True when the resource has to be replaced."""
        return bool(self.replace_keys) or any(diff.replaces for diff in (self.detailed or {}).values())

    def inverted(self) -> DiffResult:
        """Return the difference that undoes this one."""
        if self.detailed is None:
            return self
        detailed = {key: PropertyDiff(_INVERTED[diff.kind], diff.input_diff) for key, diff in self.detailed.items()}
        return replace(self, detailed=detailed)


def detailed_diff(old: Properties, new: Properties, *, input_diff: bool) -> dict[str, PropertyDiff]:
    """Return every difference between two objects by its property path."""
    found: dict[str, PropertyDiff] = {}
    _diff_objects([], old, new, input_diff, found)
    return found


def changed_keys(old: Properties, new: Properties) -> list[str]:
    """Return the names of the top-level properties that differ, sorted."""
    keys = {key for key in (*old, *new) if not deep_equals(old.get(key), new.get(key))}
    return sorted(key for key in keys if has_value(old.get(key)) or has_value(new.get(key)))


def _diff_objects(
    path: Path, old: Properties, new: Properties, input_diff: bool, found: dict[str, PropertyDiff]
) -> None:
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if deep_equals(before, after):
            continue
        here = [*path, key]
        if not has_value(before):
            found[path_text(here)] = PropertyDiff("add", input_diff)
        elif not has_value(after):
            found[path_text(here)] = PropertyDiff("delete", input_diff)
        else:
            _diff_values(here, before, after, input_diff, found)


def _diff_values(path: Path, old: Any, new: Any, input_diff: bool, found: dict[str, PropertyDiff]) -> None:
    if isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            here = [*path, index]
            if index >= len(old):
                found[path_text(here)] = PropertyDiff("add", input_diff)
            elif index >= len(new):
                found[path_text(here)] = PropertyDiff("delete", input_diff)
            elif not deep_equals(old[index], new[index]):
                _diff_values(here, old[index], new[index], input_diff, found)
    elif isinstance(old, dict) and isinstance(new, dict) and not signature(old) and not signature(new):
        _diff_objects(path, old, new, input_diff, found)
    else:
        kind = "add" if old is None else "delete" if new is None else "update"
        found[path_text(path)] = PropertyDiff(kind, input_diff)


def apply_replace_on_changes(diff: DiffResult, replace_on_changes: list[str], has_init_errors: bool) -> DiffResult:
    """Turn the differences that the program listed in `replaceOnChanges` into replacements.

    Raises:
        ValueError: a property path is malformed.
    """
    if diff.changes != SOME and not has_init_errors:
        return diff
    paths = [parse_path(text) for text in replace_on_changes]
    detailed = None
    if diff.detailed is not None:
        detailed = {
            key: PropertyDiff(item.kind + "-replace", item.input_diff)
            if not item.replaces and any(contains(path, parse_path(key)) for path in paths)
            else item
            for key, item in diff.detailed.items()
        }
    keys = dict.fromkeys(diff.replace_keys)
    for key in diff.changed_keys:
        try:
            changed = parse_path(key)
        except ValueError:
            continue
        if any(contains(path, changed) for path in paths):
            keys[key] = None
    changes = diff.changes
    if has_init_errors and any(contains(path, [INIT_ERROR_KEY]) for path in paths):
        keys[INIT_ERROR_KEY] = None
        changes = SOME
        if detailed is not None:
            detailed[INIT_ERROR_KEY] = PropertyDiff("update-replace")
    return replace(diff, changes=changes, replace_keys=list(keys), detailed=detailed)


def trigger_changed(new: Properties | None, old: Properties | None) -> bool:
    """Say whether a replacement trigger changed; a null is no trigger."""
    new, old = without_secrets(new), without_secrets(old)
    if contains_unknowns(new) or contains_unknowns(old):
        return True
    return new is not None and old is not None and not deep_equals(new, old)
