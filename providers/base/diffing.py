"""What changed between two sets of inputs, and whether the change can be made in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from providers.base.values import ARCHIVE, ASSET, SIGNATURE, UNKNOWN, Properties, plain


@dataclass(frozen=True)
class Change:
    """One property that differs.

    Attributes:
        path: as people write it, such as "ingress[0].fromPort".
        kind: "add", "delete" or "update".
        replaces: whether only a new resource can have the new value.
    """

    path: str
    kind: str
    replaces: bool = False


@dataclass(frozen=True)
class Difference:
    """What an update would change.

    Attributes:
        delete_first: a replacement cannot exist beside the old one (a fixed name).
    """

    changes: list[Change] = field(default_factory=list)
    delete_first: bool = False


def difference(
    old: Properties,
    new: Properties,
    *,
    replaces_on: Iterable[str] = (),
    ignored: Iterable[str] = (),
    delete_first: bool = False,
) -> Difference:
    """Compare inputs.

    Args:
        old, new: inputs; secrets are compared by what they hold, an unknown differs from everything.
        replaces_on: properties whose change replaces, as "name" or "parent.child"; lists in between are passed through.
        ignored: top-level names that do not count.
        delete_first: what `Difference.delete_first` says should anything replace.
    """
    forced = set(replaces_on)
    changes = [
        Change(path, kind, _forces(path, forced))
        for key in sorted({*old, *new} - set(ignored))
        for path, kind in _compare(key, plain(old.get(key)), plain(new.get(key)))
    ]
    return Difference(changes, delete_first and any(change.replaces for change in changes))


def _forces(path: str, forced: set[str]) -> bool:
    """Whether the path, or what it lies in, is among the properties that replace."""
    parts = [part.split("[", 1)[0] for part in path.split(".")]
    return any(".".join(parts[: i + 1]) in forced for i in range(len(parts)))


def _compare(path: str, old: Any, new: Any) -> Iterator[tuple[str, str]]:
    if same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict) and SIGNATURE not in old and SIGNATURE not in new:
        for key in sorted({*old, *new}):
            yield from _compare(f"{path}.{key}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _compare(f"{path}[{index}]", before, after)
    elif old is None:
        yield path, "add"
    elif new is None:
        yield path, "delete"
    else:
        yield path, "update"


def same(old: Any, new: Any) -> bool:
    """Whether two values are equal: an absent key equals a null, assets compare by their hash, `true` is not 1."""
    if old is UNKNOWN or new is UNKNOWN:
        return False
    if isinstance(old, dict) and isinstance(new, dict):
        if old.get(SIGNATURE) in (ASSET, ARCHIVE) and old.get("hash") and new.get("hash"):
            return bool(old["hash"] == new["hash"])
        return all(same(old.get(key), new.get(key)) for key in {*old, *new})
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(same(*pair) for pair in zip(old, new, strict=True))
    if isinstance(old, bool) != isinstance(new, bool):
        return False
    return bool(old == new)
