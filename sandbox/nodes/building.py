"""Building btcd and lnd: about five minutes the first time, at low priority, kept in a cache folder afterwards."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent
PROGRAMS: Final = {
    "btcd": ("github.com/btcsuite/btcd", ""),
    "lnd": ("github.com/lightningnetwork/lnd/cmd/lnd", "signrpc walletrpc chainrpc invoicesrpc routerrpc"),
}
CACHE_VARIABLE: Final = "RAILYARD_NODES_CACHE"


class BuildError(Exception):
    """The nodes cannot be built; the message is one sentence with Go's last words."""


def cache_folder() -> Path:
    """Where built programs are kept: $RAILYARD_NODES_CACHE, or the user's cache folder; a folder for each go.sum."""
    given = os.environ.get(CACHE_VARIABLE)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in ("go.mod", "go.sum"))).hexdigest()
    return (Path(given) if given else cache / "railyard" / "nodes") / digest[:16]


def has_go() -> bool:
    """Whether there is a Go to build with."""
    return shutil.which("go") is not None


def are_built() -> bool:
    """Whether nothing has to be built."""
    return all((cache_folder() / name).is_file() for name in PROGRAMS)


def build() -> dict[str, Path]:
    """The programs' paths, built if they are not there yet; two processes never build at once.

    Raises:
        BuildError: there is no Go, or it failed.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, (package, tags) in PROGRAMS.items():
            if not (folder / name).is_file():
                _build_one(folder, name, package, tags)
    return {name: folder / name for name in PROGRAMS}


def _build_one(folder: Path, name: str, package: str, tags: str) -> None:
    if not has_go():
        raise BuildError("btcd and lnd are built with Go: install it, or give a folder that has them already.")
    part = folder / f"{name}.part"
    command = ["nice", "-n", "10", "go", "build", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-tags", tags]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    work = folder / "module"
    work.mkdir(exist_ok=True)
    for source in ("go.mod", "go.sum", "tools.go"):
        shutil.copy(SOURCES / source, work / source)
    done = subprocess.run(
        [*command, "-o", str(part), package], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"{name} cannot be built: {done.stderr.strip().splitlines()[-1:]}")
    part.replace(folder / name)
