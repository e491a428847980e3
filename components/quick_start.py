"""What makes a plan fast that needs a provider's SDK: millions of lines of which it uses a few thousand."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pulumi.log

from components.on_demand import load_on_demand

DEBUG = "RAILYARD_DEBUG"


def start_quickly() -> None:
    """Spend the program's time on the stack: no search for garbage, and byte code that is kept.

    The SDKs' objects stay until the program ends, in seconds: looking through them again and again is a fifth of the
    time a plan takes. Where the environment forbids byte code beside the sources (PYTHONDONTWRITEBYTECODE), compiling
    them anew is half of it; there it is kept with the stack's state, if ./railyard said where that is. Services'
    modules are loaded when they are used. The SDK tells the engine of its own steps, for `pulumi --debug` to show, in
    calls that it waits for, 1,800 of them in a stack of 400 resources: they are made where RAILYARD_DEBUG is set, only.
    """
    gc.disable()
    load_on_demand()
    if not os.environ.get(DEBUG):
        pulumi.log.debug = _not_told
    folder = os.environ.get("RAILYARD_STATE", "")
    if sys.dont_write_bytecode and sys.pycache_prefix is None and Path(folder).is_absolute():
        sys.pycache_prefix, sys.dont_write_bytecode = str(Path(folder) / "bytecode"), False


def _not_told(*_message: object, **_options: object) -> None:
    """Stands in for `pulumi.log.debug`."""
