"""The one checkout that the tests of `./railyard` share: making its environment takes most of a minute."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.railyard.newcomer import Checkout

ROOT = Path(__file__).parents[2]
# What must not leak from the surroundings into a newcomer's commands.
FOREIGN = ("PULUMI_", "RAILYARD_", "VIRTUAL_ENV", "PYTHONPATH")


@pytest.fixture(scope="session")
def checkout() -> Iterator[Checkout]:
    # Not below pytest's own folder, which only we may enter: PostgreSQL runs under another account.
    folder = Path(tempfile.mkdtemp(prefix="newcomer ", dir="/tmp"))
    folder.chmod(0o755)
    root, state, home = folder / "railyard", folder / "state", folder / "home"
    home.mkdir()
    root.mkdir()
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "RAILYARD_", "VIRTUAL_ENV", "PYTHONPATH"))
    }
    pip_cache = os.environ.get("PIP_CACHE_DIR") or str(Path.home() / ".cache" / "pip")
    it = Checkout(
        root,
        state,
        {
            **kept,
            "HOME": str(home),
            "PIP_CACHE_DIR": pip_cache,
            "RAILYARD_STATE": str(state),
            "RAILYARD_ENGINE": "embedded",
        },
    )
    it.git("init", "--quiet")
    it.git("add", "--all")
    it.git("commit", "--quiet", "--message", "copy")
    yield it
    if state.exists():
        subprocess.run([root / "railyard", "down", "--yes"], env=it.environment, timeout=120, check=False)
    left = it.processes()
    for process in left:
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)
