"""Which parts of a structured input went into a request: what nobody looked at was not sent on.

An input's value is handed around as `Watched` dictionaries, which note every key that is looked up. Whoever goes
through all of one (`items`, `values`, `**`) takes all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

EMPTY: tuple[Any, ...] = (None, "", [], {}, False)


class Watched(dict[str, Any]):
    """A dictionary that knows which of its keys were looked up."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__({key: watched(value) for key, value in given.items()})
        self.taken: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.taken.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """As of a dictionary."""
        self.taken.add(key)
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        self.taken.update(dict.keys(self))
        return super().__iter__()

    def keys(self) -> Any:
        """As of a dictionary."""
        self.taken.update(dict.keys(self))
        return super().keys()

    def values(self) -> Any:
        """As of a dictionary."""
        self.taken.update(dict.keys(self))
        return super().values()

    def items(self) -> Any:
        """As of a dictionary."""
        self.taken.update(dict.keys(self))
        return super().items()


# Pulumi's mark of a value that is no object: an asset, which is taken as a whole.
MARK = "4dabf18193072939515e22adb298388d"


def watched(value: Any) -> Any:
    """The value with every dictionary in it watched."""
    if isinstance(value, dict) and MARK not in value:
        return Watched(value)
    return [watched(item) for item in value] if isinstance(value, list) else value


def left_out(value: Any, path: str) -> Iterator[str]:
    """Paths of what was given within a watched value and never looked at, as `target.ecsParameters.tags`.

    A value that is empty, or false, asks for nothing.
    """
    if isinstance(value, list):
        for item in value:
            yield from left_out(item, path)
    elif isinstance(value, Watched):
        for key in dict.keys(value):
            item = dict.__getitem__(value, key)
            if key in value.taken:
                yield from left_out(item, f"{path}.{key}")
            elif item not in EMPTY:
                yield f"{path}.{key}"
