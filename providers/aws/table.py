"""The whole table, by type."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from providers.aws import services
from providers.aws.kind import Kind


@cache
def kinds() -> dict[str, Kind]:
    """Every resource type there is."""
    found: dict[str, Kind] = {}
    for module in pkgutil.iter_modules(services.__path__):
        for kind in importlib.import_module(f"{services.__name__}.{module.name}").KINDS:
            assert kind.type not in found, f"{kind.type} is described twice"
            found[kind.type] = kind
    return found
