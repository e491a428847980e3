"""The console that commands write to: it wraps and colours in a terminal, and is plain anywhere else."""

from __future__ import annotations

import sys

from rich.console import Console


def screen() -> Console:
    """Standard output. In a pipe or a file, lines stay whole however long a path in them is."""
    return Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
