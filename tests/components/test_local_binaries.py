"""Where this machine's servers are, and a copy of them for an account that cannot reach a wheel's files."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.local.accounts import as_account
from components.local.binaries import (
    Server,
    can_reach,
    find_envoy,
    find_postgres,
    find_redis,
    reachable_installation,
    unprivileged_account,
)


def wheel_of_postgres() -> Path | None:
    spec = importlib.util.find_spec("pgserver")
    return Path(spec.origin).parent if spec and spec.origin else None


@pytest.mark.parametrize("find", [find_postgres, find_redis, find_envoy])
def test_each_server_is_found_and_tells_its_version(find: object) -> None:
    assert callable(find)
    server = find()
    assert os.access(server.path, os.X_OK)
    assert server.version[0].isdigit()


def test_a_server_on_path_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.1 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis().path != old
    old.write_text("#!/bin/sh\necho 'Redis server v=7.2.1 sha=0'\n")
    assert find_redis() == Server(old.resolve(), "7.2.1", bundled=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")
@pytest.mark.skipif(wheel_of_postgres() is None, reason="there is no pgserver wheel for this Python")
class TestOutOfReach:
    @pytest.fixture
    def closed(self) -> Iterator[Path]:
        """The wheel in a folder that only root can enter, as site-packages under /root are."""
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        wheel = wheel_of_postgres()
        assert wheel is not None
        shutil.copytree(wheel / "pginstall", folder / "pgserver" / "pginstall", symlinks=True)
        shutil.copytree(wheel.with_name("pgserver.libs"), folder / "pgserver.libs", symlinks=True)
        # As a strict umask leaves it.
        for path in folder.rglob("*"):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)
        yield folder
        shutil.rmtree(folder)

    @pytest.fixture
    def copies(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        folder.chmod(0o711)
        yield folder
        shutil.rmtree(folder)

    def test_the_copy_runs_under_the_account(self, closed: Path, copies: Path) -> None:
        account = unprivileged_account()
        assert isinstance(account, pwd.struct_passwd)
        server = Server(closed / "pgserver" / "pginstall" / "bin" / "postgres", "16.2", bundled=True)
        assert not can_reach(server.path, account)
        programs = reachable_installation(server, account, copies)
        ran = subprocess.run(
            as_account([str(programs / "initdb"), "--version"], account), capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert reachable_installation(server, account, copies) == programs
