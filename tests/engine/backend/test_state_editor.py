"""`state edit` at a terminal: an editor that a script plays, and the answers that a person would type."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pulumi_embedded.state import secrets
from tests.engine.backend.conftest import PASSPHRASE, Run

_EDITOR = """
import json, pathlib, re, sys
turn = pathlib.Path({turns!r})
turn.write_text(turn.read_text() + "x" if turn.exists() else "x")
path = pathlib.Path(sys.argv[1])
edits = {edits!r}
old, new = edits[min(len(turn.read_text()), len(edits)) - 1]
path.write_text(re.sub(old, new, path.read_text()))
"""


class Desk:
    """A project whose state is edited by a script."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home

    def edit(self, *edits: tuple[str, str], answers: list[tuple[str, str]]) -> tuple[int, str]:
        """Run `state edit`: each opening of the editor does one edit; return the exit code and what was seen."""
        editor = self.home / "editor.py"
        turns = self.home / "turns"
        turns.unlink(missing_ok=True)
        editor.write_text(_EDITOR.format(turns=str(turns), edits=list(edits)))
        return self.run(f"'{sys.executable}' '{editor}'", answers)

    def run(self, editor: str, answers: list[tuple[str, str]]) -> tuple[int, str]:
        """Run `state edit` with an EDITOR; each answer is given when its question is seen."""
        master, slave = pty.openpty()
        environment = {**os.environ, "EDITOR": editor, "TERM": "dumb"}
        environment.pop("CI", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "pulumi_embedded", "state", "edit"],
            cwd=self.folder, env=environment, stdin=slave, stdout=slave, stderr=slave,
        )  # fmt: skip
        os.close(slave)
        seen, waiting, searched = "", list(answers), 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 0.2)[0]:
                continue
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk.decode(errors="replace")
            if waiting and waiting[0][0] in seen[searched:]:
                searched = len(seen)
                os.write(master, waiting.pop(0)[1].encode() + b"\n")
        os.close(master)
        return process.wait(timeout=10), seen


_SIG, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
_ROOT = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"
_STATE = {
    "manifest": {},
    "resources": [
        {"urn": _ROOT, "custom": False, "type": "pulumi:pulumi:Stack"},
        {"urn": "urn:pulumi:dev::proj::my:mod:C::c", "custom": False, "type": "my:mod:C", "parent": _ROOT,
         "inputs": {"word": {_SIG: _SECRET, "plaintext": '"hush"'}}},
    ],
}  # fmt: skip


@pytest.fixture
def desk(run: Run, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A stack with two resources and a secret, under a key that another process derives as well."""
    monkeypatch.setattr(secrets, "_ROUNDS", 1_000_000)
    assert run("stack", "init", "dev").code == 0
    assert run("stack", "import", stdin=json.dumps({"version": 3, "deployment": _STATE})).code == 0
    return Desk(project, tmp_path)


_ASK = "Do you want to perform this edit?"


def _resources(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run("stack", "export", "--show-secrets").json()["deployment"]["resources"]
    return found


def test_an_accepted_edit_is_the_state(desk: Desk, run: Run) -> None:
    before = _resources(run)
    code, seen = desk.edit((r'("type": "pulumi:pulumi:Stack")', r'\1, "protect": true'), answers=[(_ASK, "accept")])
    assert code == 0, seen
    after = _resources(run)
    assert after[0].pop("protect") is True
    assert after == before
    assert "hush" not in seen
    assert PASSPHRASE not in seen


def test_what_is_not_a_state_is_told_and_can_be_taken_back(desk: Desk, run: Run) -> None:
    before = run("stack", "export").out
    edits = ((r"\A\{", "{{"), (r"\A", ""))
    code, seen = desk.edit(*edits, answers=[("Received invalid state", "reset")])
    assert code == 0, seen
    assert "provided state is not valid: the text is not valid JSON" in seen
    assert "provided state was not changed" in seen
    assert "Traceback" not in seen
    assert run("stack", "export").out == before


def test_an_edit_that_breaks_dependencies_cannot_be_accepted(desk: Desk, run: Run) -> None:
    before = run("stack", "export").out
    code, seen = desk.edit((r'"urn": "[^"]*Stack[^"]*"', '"urn": "urn:pulumi:dev::proj::a:b:C::x"'),
                           answers=[("Received invalid state", "accept")])  # fmt: skip
    assert code == 8, seen
    assert "confirmation cancelled" in seen
    assert run("stack", "export").out == before


def test_a_cancelled_edit_changes_nothing(desk: Desk, run: Run) -> None:
    before = run("stack", "export").out
    code, _ = desk.edit((r'("type": "pulumi:pulumi:Stack")', r'\1, "protect": true'), answers=[(_ASK, "cancel")])
    assert code == 8
    assert run("stack", "export").out == before


@pytest.mark.parametrize(
    ("editor", "said"),
    [("", "no EDITOR environment variable set"), ("/no/such/editor", "cannot be started"), ("false", "exit code 1")],
)
def test_an_editor_that_does_not_work_is_told(desk: Desk, run: Run, editor: str, said: str) -> None:
    before = run("stack", "export").out
    code, seen = desk.run(editor, [])
    assert code == 1
    assert said in seen
    assert re.search(r"Traceback", seen) is None
    assert run("stack", "export").out == before
