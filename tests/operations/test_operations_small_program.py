"""The commands on a small Pulumi program, by a real engine: `RAILYARD_ENGINE=cli` tries them with the CLI on PATH.

The program exports too little for `up` to verify and pay, so an `up` here ends after its update, and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from components.settings import GENERATED, SECRETS
from tests.operations.conftest import wait_until

ROOT = Path(__file__).parents[2]
ROOMS = ("operations", "findings", "policies", "components")
HALF = "railyard: the stack is only partly deployed (its outputs lack "
PROJECT = "name: railyard\nruntime:\n  name: python\n  options:\n    virtualenv: .venv\n"
PROGRAM = """
import os, time
from pathlib import Path

import pulumi
import pulumi.dynamic


class Keeper(pulumi.dynamic.ResourceProvider):
    def create(self, props):
        gate = Path(props["gate"])
        while gate.exists():
            time.sleep(0.02)
        if props.get("fail"):
            raise Exception(props["fail"])
        return pulumi.dynamic.CreateResult(props["name"], dict(props))

    def update(self, _id, _olds, news):
        return pulumi.dynamic.UpdateResult(dict(news))


class TextFile(pulumi.dynamic.Resource, module="railyard", name="{kind}"):
    def __init__(self, name, opts=None, **props):
        gate = str(Path(os.environ["RAILYARD_STATE"]) / f"gate-{{name}}")
        super().__init__(Keeper(), name, {{"name": name, "gate": gate, **props}}, opts)


secret = pulumi.Config("railyard").require_secret("jwtSecret")
one = TextFile("one", content="hello"{more})
two = TextFile("two", content=secret, after=one.id)
pulumi.export("url", "http://127.0.0.1:1")
pulumi.export("planted", secret)
{end}
"""


class Small:
    """A checkout with a small program, its state, and what its commands print."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "check out", folder / "state folder"
        self.root.mkdir()
        for room in ROOMS:
            shutil.copytree(ROOT / room, self.root / room, ignore=shutil.ignore_patterns("__pycache__"))
        (self.root / ".venv").symlink_to(sys.prefix)
        (self.root / "Pulumi.yaml").write_text(PROJECT)
        self.program()

    def program(self, *, kind: str = "TextFile", more: str = "", end: str = "") -> None:
        (self.root / "__main__.py").write_text(PROGRAM.format(kind=kind, more=more, end=end))

    @property
    def settings(self) -> Path:
        return self.root / "Pulumi.local.yaml"

    def gate(self, name: str) -> Path:
        """While this file is there, the resource is not made."""
        return self.state / f"gate-{name}"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        foreign = ("PULUMI_", "RAILYARD_", "PYTHONPATH")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        engine = os.environ.get("RAILYARD_ENGINE", "embedded")
        rooms = os.pathsep.join(str(path) for path in (self.root, ROOT / "engine"))
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "operations", *arguments],
            cwd="/", env={**kept, "RAILYARD_STATE": str(self.state), "RAILYARD_ENGINE": engine, "PYTHONPATH": rooms},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def settle(self) -> None:
        """Bring the stack to what the program says."""
        code, out, err = self.run("up")
        assert code == 1, out + err
        assert err.startswith(HALF), out + err


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(tmp_path_factory.mktemp("small program"))


@pytest.fixture
def small(shared: Small) -> Iterator[Small]:
    """The stack, settled on the plain program, with its gates open; made once, spoiled and mended by the tests."""
    shared.program()
    if not shared.settings.exists():
        shared.settle()
    yield shared
    for gate in shared.state.glob("gate-*"):
        gate.unlink()
    shared.program()


def test_a_first_up_makes_private_settings_then_plans_then_updates(shared: Small) -> None:
    code, out, err = shared.run("up")
    assert code == 1
    assert err.startswith(HALF)
    assert [line.split()[1] for line in out.splitlines() if line.startswith("✓")] == [
        "environment", "settings", "plan", "update",
    ]  # fmt: skip
    assert "  + one\n  + two\n" in out
    assert f"{len(GENERATED)} values generated" in out
    assert shared.settings.stat().st_mode & 0o777 == 0o600
    assert (shared.state / "passphrase").stat().st_mode & 0o777 == 0o600
    assert shared.state.stat().st_mode & 0o777 == 0o711


def test_a_second_up_plans_no_change(small: Small) -> None:
    _, out, _ = small.run("up")
    assert "no changes" in out
    assert "update" not in out


def test_every_generated_secret_is_sealed(small: Small) -> None:
    code, out, _ = small.run("pulumi", "config", "--show-secrets", "--json", "--stack", "local")
    assert code == 0
    secrets = [entry["value"] for entry in json.loads(out).values() if entry["secret"]]
    assert len(set(secrets)) == len(secrets) == len(SECRETS)
    for path in [small.settings, *(p for p in small.state.rglob("*") if p.is_file())]:
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in secrets), path


def test_no_secret_is_an_argument_of_any_process(tmp_path: Path) -> None:
    fresh = Small(tmp_path)
    fresh.program(kind="TextFile", more=', fail="stop here"')
    seen: set[str] = set()
    process = fresh.start("up")
    while process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True) if psutil.pid_exists(process.pid) else []:
            try:
                seen.add(" ".join(child.cmdline()))
            except psutil.Error:
                continue
    process.communicate()
    _, out, _ = fresh.run("pulumi", "config", "--show-secrets", "--json", "--stack", "local")
    secrets = [entry["value"] for entry in json.loads(out).values() if entry["secret"]]
    assert any("config set railyard:jwtSecret" in command for command in seen)
    assert not any(secret in command for command in seen for secret in secrets)


def test_preview_shows_each_step_and_makes_nothing(small: Small) -> None:
    small.program(more=', extra="1"')
    code, out, _ = small.run("preview")
    assert code == 0
    assert "1 to update" in out
    assert "  ~ TextFile one\n" in out
    assert "Run ./railyard up" in out
    assert "1 to update" in small.run("preview")[1]


def test_a_program_that_raises_is_told_by_its_own_frame(small: Small) -> None:
    small.program(end="def f():\n    raise ValueError('the moon is not cheese')\nf()")
    code, _, err = small.run("up")
    assert code == 1
    assert "railyard: ValueError: the moon is not cheese" in err
    assert "__main__.py" in err
    assert "in f)" in err
    assert len(err.splitlines()) == 1


def test_a_resource_that_cannot_be_made_is_told_and_the_next_up_goes_on(small: Small) -> None:
    small.program(end='three = TextFile("three", fail="there is no such port")')
    code, _, err = small.run("up")
    assert code == 1
    assert "there is no such port" in err
    assert len(err.splitlines()) == 1
    small.program(end='three = TextFile("three")')
    assert "  + three\n" in small.run("up")[1]
    small.program()
    assert "  - three\n" in small.run("up")[1]


def test_a_policy_refuses_before_anything_is_made(small: Small) -> None:
    small.program(end='TextFile("extra")')
    small.program(kind="Process", more=', environment={"JWT_SECRET": "x"}, command=["x"]')
    code, out, err = small.run("up")
    assert code == 1
    assert "update" not in out
    assert err.startswith("railyard: the policies refuse this, and nothing that breaks them was made:\n")
    assert "secret JWT_SECRET in its environment" in err


def test_a_wrong_setting_is_told_before_anything_is_planned(small: Small) -> None:
    before = small.settings.read_text()
    content = yaml.safe_load(before)
    content["config"]["railyard:maxFeeMsat"] = "abc"
    small.settings.write_text(yaml.safe_dump(content))
    try:
        code, out, err = small.run("up")
    finally:
        small.settings.write_text(before)
    assert code == 1
    assert "plan" not in out
    assert err.startswith("railyard: railyard:maxFeeMsat is 'abc' and must be a whole number.")


def test_lost_settings_come_back_with_the_same_secrets(small: Small) -> None:
    before = small.settings.read_bytes()
    small.settings.unlink()
    _, out, _ = small.run("up")
    assert "is back as the stack had it" in out
    assert "no changes" in out
    assert small.settings.read_bytes() == before


def test_an_up_that_is_killed_leaves_a_lock_the_next_one_takes_away(small: Small) -> None:
    small.program(end='TextFile("slow")')
    small.gate("slow").touch()
    process = small.start("up")
    wait_until(lambda: locked(small) and "creating" in state_of(small), "the slow resource")
    for child in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        child.kill()
    process.communicate()
    small.gate("slow").unlink()
    _, out, err = small.run("up")
    assert "was stale: its process is gone" in out, out + err
    assert err.startswith(HALF)
    assert "no changes" in small.run("up")[1]


def locked(small: Small) -> bool:
    """Whether an engine has its lock on the stack."""
    return any((small.state / ".pulumi" / "locks" / "organization" / "railyard" / "local").glob("*.json"))


def state_of(small: Small) -> str:
    """What the engine has on disk of its running update: the CLI's checkpoint, or the embedded engine's journal."""
    files = [*(small.state / ".pulumi" / "stacks").rglob("*.json"), *(small.state / ".pulumi").glob("journals/**/*")]
    return "".join(path.read_text() for path in files if path.is_file())


def test_ctrl_c_ends_the_running_step_and_says_how_to_go_on(small: Small) -> None:
    small.program(end='TextFile("slow")\nTextFile("later", after=one.id)')
    small.gate("slow").touch()
    process = small.start("up")
    wait_until(lambda: locked(small) and "creating" in state_of(small), "the slow resource")
    process.send_signal(signal.SIGINT)
    small.gate("slow").unlink()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1].startswith("railyard: stopped: what was begun is finished and recorded")
    small.settle()


def test_a_second_command_waits_for_nobody_and_says_who_works(small: Small) -> None:
    small.program(end='TextFile("slow", again="1")')
    small.gate("slow").touch()
    process = small.start("up")
    wait_until(lambda: (small.state / "railyard.lock").exists() and holder(small) != "", "the first command")
    code, _, err = small.run("down", "--yes")
    assert code == 1
    assert "railyard: ./railyard up of " in err
    assert f"process {process.pid}" in err
    small.gate("slow").unlink()
    process.communicate(timeout=60)


def holder(small: Small) -> str:
    return (small.state / "railyard.lock").read_text()


def test_down_leaves_nothing_but_history_and_up_brings_the_settings_back(small: Small) -> None:
    before = small.settings.read_bytes()
    code, out, err = small.run("down")
    assert (code, err) == (0, "")
    assert "The stack local is down." in out
    assert not small.settings.exists()
    assert sorted(path.name for path in small.state.iterdir()) == [".pulumi", "passphrase", "settings"]
    assert list((small.state / ".pulumi" / "history").rglob("*.history.json"))
    assert small.run("status")[2] == "railyard: the stack local is not deployed: run ./railyard up first.\n"
    again = small.run("down")
    assert again[0] == 0
    small.settle()
    assert small.settings.read_bytes() == before


def test_a_lost_passphrase_is_told_not_replaced(small: Small) -> None:
    kept = (small.state / "passphrase").rename(small.state / "kept")
    try:
        code, _, err = small.run("up")
    finally:
        kept.rename(small.state / "passphrase")
    assert code == 1
    assert "is gone, and without it nobody can read the secrets" in err
