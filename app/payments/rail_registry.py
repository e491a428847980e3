"""Which rails there are, and building those that are configured."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable
from typing import cast

from payments.rails.protocol import Rail
from payments.settings import Settings

PACKAGES = ("payments.rails.lnd", "payments.rails.onchain", "payments.rails.river", "payments.rails.solana")


class Role(enum.StrEnum):
    """What a process is; only the worker's rails can sign."""

    WEB = "web"
    WORKER = "worker"


def build_rails(settings: Settings, role: Role) -> dict[str, Rail]:
    """The configured rails by name."""
    rails: dict[str, Rail] = {}
    for package in PACKAGES:
        build = cast(Callable[[Settings, str], Rail | None], importlib.import_module(package).build)
        rail = build(settings, role.value)
        if rail is not None:
            rails[rail.name] = rail
    return rails
