"""States that are read from the database, where a newer release may have written one that this release has no name for.

For some minutes two releases work on one database, and after a rollback an older one goes on with what the newer one
left. A state that it does not know is `newer` to it: shown as that, never acted on, and never written.
"""

from __future__ import annotations

import enum
from typing import Final, TypeVar

NEWER: Final = "newer"
State = TypeVar("State", bound=enum.StrEnum)


def read_state(kind: type[State], stored: str) -> State:
    """The state of a row; `kind`'s `newer` when it has no such state."""
    try:
        return kind(stored)
    except ValueError:
        return kind(NEWER)
