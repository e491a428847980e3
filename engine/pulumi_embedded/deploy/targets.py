"""Sets of URNs that `--target`, `--exclude` and `--replace` name, with their wildcards."""

from __future__ import annotations

import re
from collections.abc import Iterable


class UrnTargets:
    """URNs and globs; `*` matches within a part of a URN, `**` across parts. Empty means everything."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.literals: list[str] = []
        self._set: set[str] = set()
        self._globs: list[re.Pattern[str]] = []
        for pattern in patterns:
            if "*" in pattern:
                parts = ["[^:]*".join(re.escape(part) for part in piece.split("*")) for piece in pattern.split("**")]
                self._globs.append(re.compile("^" + ".*".join(parts) + "$", re.DOTALL))
            else:
                self.literals.append(pattern)
                self._set.add(pattern)

    @property
    def constrained(self) -> bool:
        """True when the set names anything at all."""
        return bool(self._set or self._globs)

    def contains(self, urn: str) -> bool:
        """Say whether `urn` is in the set; an empty set holds every URN."""
        if not self.constrained:
            return True
        return urn in self._set or any(glob.match(urn) for glob in self._globs)

    def add(self, urn: str) -> None:
        """Add a URN to a set that names something already; a set of everything stays one."""
        if self.constrained and urn not in self._set:
            self.literals.append(urn)
            self._set.add(urn)

    def clone(self) -> UrnTargets:
        """Return a copy that can grow on its own."""
        copy = UrnTargets(self.literals)
        copy._globs = list(self._globs)
        return copy
