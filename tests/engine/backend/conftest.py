"""A backend in a temporary folder, and the engine's command line run in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pulumi_embedded.backend.layout import Layout
from pulumi_embedded.backend.location import Location
from pulumi_embedded.cli.main import main
from pulumi_embedded.state import secrets

PASSPHRASE = "correct horse"


@dataclass
class Result:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return standard output as JSON."""
        return json.loads(self.out)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty backend whose clock moves a second at each look."""
    folder = tmp_path / "state"
    folder.mkdir()
    times = iter(range(1_700_000_000_000_000_000, 1_800_000_000_000_000_000, 1_000_000_000))
    return Layout(Location(f"file://{folder}", folder), lambda: next(times))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the working folder, with a backend, a home and a passphrase of its own."""
    folder = tmp_path / "a project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: proj\nruntime: python\n")
    (tmp_path / "backend").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'backend'}")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    # A key that is only this test's may be cheap to derive; tests that read what the CLI wrote set the real number.
    monkeypatch.setattr(secrets, "_ROUNDS", 1000)
    return folder


Run = Callable[..., Result]


@pytest.fixture
def run(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in the project."""

    def call(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        monkeypatch.chdir(project)
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def stack(run: Run) -> Run:
    """The command line with a stack `dev` made and selected."""
    assert run("stack", "init", "dev").code == 0
    return run
