"""The protocol's messages without the SDK around them."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from types import ModuleType

_AROUND = ("pulumi", "pulumi.runtime", "pulumi.runtime.proto")


def without_the_sdk() -> None:
    """From now on `pulumi.runtime.proto` is a plain folder: importing a message imports that message.

    Python imports what is around a module first, and that is the whole SDK with its Automation API and its tracing:
    more than all else that a provider imports. For a process that uses nothing of it; where it is imported already,
    or not installed, nothing changes.
    """
    if "pulumi" in sys.modules:
        return
    path = None
    for name in _AROUND:
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.submodule_search_locations is None:
            return
        folder = ModuleType(name)
        folder.__path__ = path = list(spec.submodule_search_locations)
        sys.modules[name] = folder
