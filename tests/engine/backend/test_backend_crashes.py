"""SIGKILL at each write to disk of an update: the next update converges, whatever the moment."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from .conftest import Project

KILLED = """
import os, signal, sys
from pulumi_embedded.cli.main import main

left = int(sys.argv[1])


def counted(call):
    def instead(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)

    return instead


for name in ("fdatasync", "fsync", "replace", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
code = main(sys.argv[2:])
print("calls left:", left, file=sys.stderr)
sys.exit(code)
"""

FIRST = """
for number in range(8):
    Thing(f"same{number}", value="1")
    Thing(f"change{number}", value="1")
    Thing(f"swap{number}", kind="old")
    Thing(f"drop{number}")
"""
SECOND = """
before = []
for number in range(8):
    Thing(f"same{number}", value="1")
    Thing(f"change{number}", value="2")
    Thing(f"swap{number}", kind="new")
    before = [Thing(f"new{number}", opts=pulumi.ResourceOptions(depends_on=before))]
"""
EXPECTED = sorted(f"{kind}{number}" for kind in ("same", "change", "swap", "new") for number in range(8))


def run_killed(project: Project, moment: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(moment), "up", "--yes", "--skip-preview"],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_converges(project: Project) -> None:
    """The lock is told, cancelling folds, the next update ends where an undisturbed one would, and so does destroy."""
    refused = project.up()
    if "currently locked" in refused.err:
        assert "no longer running" in refused.err
        assert project.run("cancel", "--yes").code == 0
        again = project.up()
        assert again.code == 0, again.out + again.err
    else:
        assert refused.code == 0, refused.out + refused.err
    deployment = project.run("stack", "export").json()["deployment"]
    urns = [resource["urn"] for resource in deployment["resources"]]
    assert len(urns) == len(set(urns))
    left = {operation["type"] for operation in deployment.get("pending_operations", ())}
    assert left <= {"creating"}, "only a person knows what became of an interrupted create"
    assert sorted(project.resources()) == EXPECTED
    assert sorted(path.name for path in (project.probe / "world").iterdir()) == EXPECTED, "nothing lost, nothing twice"
    values = {r["id"]: (r["outputs"]["value"], r["outputs"]["kind"]) for r in deployment["resources"] if "outputs" in r}
    assert values["change3"] == ("2", "k")
    assert values["swap3"] == ("v", "new")
    assert project.run("preview", "--expect-no-changes").code == 0


MOMENTS = [3, 9, 22]
"""In taking the lock, among the journal's entries, and near its end; the full lane goes through all of them."""


@pytest.fixture
def updated(live_project: Project) -> Project:
    live_project.write(FIRST)
    assert live_project.up().code == 0
    live_project.write(SECOND)
    return live_project


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_update_killed_at_a_write_converges(updated: Project, moment: int) -> None:
    done = run_killed(updated, moment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert_converges(updated)


@pytest.mark.full
def test_an_update_killed_at_any_write_converges(updated: Project) -> None:
    exported = json.dumps(updated.run("stack", "export").json())
    for moment in range(1, 500):
        done = run_killed(updated, moment)
        if done.returncode == 0:
            assert moment > 20
            return
        assert_converges(updated)
        (updated.folder / "first.json").write_text(exported)
        assert updated.run("stack", "import", "--file", "first.json").code == 0
    raise AssertionError("the update has more writes than expected")


def test_after_a_kill_destroy_empties(updated: Project) -> None:
    assert run_killed(updated, 16).returncode == -signal.SIGKILL
    assert updated.run("cancel", "--yes").code == 0
    assert updated.run("destroy", "--yes", "--skip-preview").code == 0
    assert updated.resources() == []
    assert set(updated.lines("gone")) >= {f"drop{number}" for number in range(8)}
