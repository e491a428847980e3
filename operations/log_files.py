"""The last lines of log files, and what is written to them after that."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

POLL_SECONDS = 0.2


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a file, which may be being written and hold any bytes."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]


def show(logs: Mapping[str, Path], count: int) -> None:
    """Print the last lines of each, with the process before every line where there are several."""
    for name, path in logs.items():
        for line in last_lines(path, count):
            _print(name if len(logs) > 1 else "", line)


def _print(name: str, line: str) -> None:
    sys.stdout.write(f"{name:<13} {line}\n" if name else f"{line}\n")


def tail(logs: Mapping[str, Path]) -> None:
    """Print what is written from now on, until interrupted. A file made anew or cut off is read from its start."""
    positions = {name: path.stat().st_size for name, path in logs.items()}
    try:
        while True:
            sys.stdout.flush()
            time.sleep(POLL_SECONDS)
            for name, path in logs.items():
                positions[name] = _print_from(name if len(logs) > 1 else "", path, positions[name])
    except KeyboardInterrupt:
        return


def _print_from(name: str, path: Path, position: int) -> int:
    """Print the whole lines after `position`; return where they end."""
    try:
        size = path.stat().st_size
        if size == position:
            return position
        with path.open("rb") as file:
            file.seek(position if size > position else 0)
            written = file.read()
    except FileNotFoundError:
        return 0
    whole = written[: written.rfind(b"\n") + 1]
    for line in whole.decode("utf-8", "replace").splitlines():
        _print(name, line)
    return (position if size > position else 0) + len(whole)
