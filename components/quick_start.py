"""What makes a plan fast that needs a provider's SDK: millions of lines of which it uses a few thousand."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path


def start_quickly() -> None:
    """Spend the program's time on the stack: no search for garbage, and byte code that is kept.

    The SDKs' objects stay until the program ends, in seconds: looking through them again and again is a fifth of the
    time a plan takes. Where the environment forbids byte code beside the sources (PYTHONDONTWRITEBYTECODE), compiling
    them anew is half of it; there it is kept with the stack's state, if ./railyard said where that is.
    """
    gc.disable()
    folder = os.environ.get("RAILYARD_STATE", "")
    if sys.dont_write_bytecode and sys.pycache_prefix is None and Path(folder).is_absolute():
        sys.pycache_prefix, sys.dont_write_bytecode = str(Path(folder) / "bytecode"), False
