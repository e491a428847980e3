"""The release id: a hash of what the service is built from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

ID_LENGTH = 12
LEFT_OUT_FOLDERS = frozenset({"__pycache__", "tests", "build", "dist", "node_modules"})
LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyo", ".log", ".tmp", ".swp", ".orig", ".rej"})


def sources(app: Path) -> Iterator[Path]:
    """The files under `app` that make the service, sorted: no caches, tests, hidden files or editors' leftovers."""
    for path in sorted(app.rglob("*")):
        parts = path.relative_to(app).parts
        hidden = any(part.startswith(".") or part.endswith((".egg-info", "~")) for part in parts)
        left_out = hidden or path.suffix in LEFT_OUT_SUFFIXES or LEFT_OUT_FOLDERS.intersection(parts)
        if not left_out and path.is_file():
            yield path


def release_id(app: Path) -> str:
    """The first 12 hexadecimal digits of the SHA-256 over names and contents of `sources(app)`."""
    digest = hashlib.sha256()
    for path in sources(app):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(app).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:ID_LENGTH]
