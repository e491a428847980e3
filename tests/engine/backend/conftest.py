"""A backend in a temporary folder, and the engine's command line run in this process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
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


PROGRAM = '''
import os, time
from pathlib import Path
import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

HERE = Path(os.environ["PROBE_FOLDER"])


def wait_for(name):
    """Tell that a step is at work, and wait until the test lets it go on."""
    (HERE / f"at-{name}").touch()
    gate = HERE / f"gate-{name}"
    deadline = time.monotonic() + 60
    while gate.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


class Provider(ResourceProvider):
    def create(self, props):
        wait_for(props["name"])
        with (HERE / "made").open("a") as file:
            file.write(props["name"] + "\\n")
        (HERE / "world").mkdir(exist_ok=True)
        (HERE / "world" / props["name"]).touch()
        return CreateResult(props["name"], props)

    def diff(self, id, old, new):
        return DiffResult(
            changes=old.get("value") != new.get("value") or old.get("kind") != new.get("kind"),
            replaces=["kind"] if old.get("kind") != new.get("kind") else [],
            delete_before_replace=True,
        )

    def update(self, id, old, new):
        if new["value"] == "fail":
            raise RuntimeError("the provider says no")
        wait_for(new["name"] + "-update")
        return UpdateResult(new)

    def delete(self, id, props):
        with (HERE / "gone").open("a") as file:
            file.write(id + "\\n")
        (HERE / "world" / id).unlink(missing_ok=True)


class Thing(Resource, module="test", name="Thing"):
    value: pulumi.Output[str]

    def __init__(self, name, value="v", kind="k", opts=None):
        super().__init__(Provider(), name, {"name": name, "value": value, "kind": kind}, opts)


class PostgresDatabase(Thing, module="test", name="PostgresDatabase"):
    pass
'''

ENGINE = Path(__file__).parents[3] / "engine"


@dataclass
class Project:
    """A project whose program runs, and the engine in a process of its own."""

    folder: Path
    probe: Path
    backend: Path
    environment: dict[str, str]

    def write(self, body: str) -> None:
        """Make the program's last lines `body`."""
        (self.folder / "__main__.py").write_text(PROGRAM + body)

    def start(self, *arguments: str, **popen: Any) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "pulumi_embedded", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **popen,
        )

    def run(self, *arguments: str) -> Result:
        """Run a command to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=120)
        return Result(process.returncode, out, err)

    def up(self, *arguments: str) -> Result:
        """Update without a preview."""
        return self.run("up", "--yes", "--skip-preview", *arguments)

    def resources(self) -> list[str]:
        """Return the names of the things in the state."""
        deployment = self.run("stack", "export").json()["deployment"]
        return [item["id"] for item in deployment.get("resources", []) if "test" in item["type"]]

    def lines(self, name: str) -> list[str]:
        """Return what providers wrote to a file of the probe folder."""
        path = self.probe / name
        return path.read_text().split() if path.exists() else []

    def await_file(self, name: str, seconds: float = 30.0) -> None:
        """Wait until a provider says that it is at work."""
        deadline = time.monotonic() + seconds
        while not (self.probe / name).exists():
            assert time.monotonic() < deadline, f"{name} did not appear"
            time.sleep(0.02)


@pytest.fixture
def live_project(tmp_path: Path) -> Project:
    """A project with a stack `dev` and a program that makes nothing yet."""
    folder, probe, backend = tmp_path / "a project", tmp_path / "probe", tmp_path / "backend"
    for path in (folder, probe, backend):
        path.mkdir()
    (folder / "Pulumi.yaml").write_text("name: proj\nruntime: python\n")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
        "PYTHONPATH": str(ENGINE),
        "PROBE_FOLDER": str(probe),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    }
    project = Project(folder, probe, backend, environment)
    project.write("")
    assert project.run("stack", "init", "dev").code == 0
    return project
