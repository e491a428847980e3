"""Which account owns a file or runs a program: names in the state, ids at the moment of use."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

from components.local.errors import LocalPlatformError

_BECOME = """\
import os, sys
user, group = int(sys.argv[1]), int(sys.argv[2])
os.setgroups([group])
os.setgid(group)
os.setuid(user)
os.execv(sys.argv[3], sys.argv[3:])
"""


def as_account(command: Sequence[str], account: pwd.struct_passwd | None) -> list[str]:
    """`command`, with an absolute program, to run as `account`; unchanged when that is the account we run under.

    Not `subprocess`'s own `user=`: with it Python forks instead of vforks, and a fork in the process that serves the
    engine's gRPC calls dies now and then in gRPC's fork handlers.
    """
    if account is None:
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _BECOME, str(account.pw_uid), str(account.pw_gid), *command]


def account_named(name: str) -> pwd.struct_passwd | None:
    """The account called `name`; None for the empty name, which means the account we run under."""
    if not name:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise LocalPlatformError(
            f"The account {name} that the stack was made with is gone from this machine: create it again, or take the "
            "stack down and up."
        ) from None


def give_to(path: Path, account: pwd.struct_passwd | None) -> None:
    """Make `account` the owner of `path`; nothing to do when it is ours."""
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def own_folder(path: Path, account: pwd.struct_passwd | None = None, mode: int = 0o700) -> None:
    """A folder that exists afterwards with `mode`, owned by `account` (ours if None)."""
    path.mkdir(parents=True, exist_ok=True, mode=0o711)
    path.chmod(mode)
    give_to(path, account)
