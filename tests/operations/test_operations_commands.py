"""The command line: every command explains itself, and wrong use is told in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from operations.commands.pulumi import with_policies
from operations.commands.up import NEXT

ROOT = Path(__file__).parents[2]
COMMANDS = ("up", "preview", "status", "down", "pulumi", "pay", "keys", "keys create", "logs", "test", "version")


def railyard(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "RAILYARD_"))}
    return subprocess.run(
        [sys.executable, "-m", "operations", *arguments],
        cwd=ROOT, env={**environment, "RAILYARD_STATE": str(state), "RAILYARD_ENGINE": "embedded", "COLUMNS": "80"},
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_within_80_columns(command: str, tmp_path: Path) -> None:
    helped = railyard(tmp_path, *command.split(), "--help")
    assert helped.returncode == 0
    assert "Usage: ./railyard" in helped.stdout
    assert max(len(line) for line in helped.stdout.splitlines()) <= 80


def test_help_lists_every_command(tmp_path: Path) -> None:
    printed = railyard(tmp_path, "--help").stdout
    assert all(f"│ {command.split()[0]} " in printed for command in COMMANDS)


def test_help_needs_no_pulumi() -> None:
    code = "import sys; import operations.commandline; sys.exit('pulumi' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_what_up_suggests_next_are_commands() -> None:
    assert {command.split()[1] for command, _ in NEXT} <= {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize("command", ["status", "pay", "logs", "keys create"])
def test_without_a_stack_a_command_says_how_to_get_one(command: str, tmp_path: Path) -> None:
    refused = railyard(tmp_path / "state", *command.split())
    assert refused.returncode == 1
    assert refused.stderr == "railyard: the stack local is not deployed: run ./railyard up first.\n"
    assert not (tmp_path / "state").exists()


def test_ending_what_is_not_there_is_no_fault(tmp_path: Path) -> None:
    ended = railyard(tmp_path / "state", "down", "--yes")
    assert ended.returncode == 0
    assert "nothing to end" in ended.stdout


@pytest.mark.parametrize("command", ["up", "preview", "down", "status"])
def test_an_unknown_stack_is_answered_with_the_known(command: str, tmp_path: Path) -> None:
    refused = railyard(tmp_path / "state", command, "prodution")
    assert refused.returncode == 2
    assert refused.stderr == "railyard: there is no stack named 'prodution': the stacks are local, staging, prod.\n"


def test_a_cloud_stack_is_refused_truthfully(tmp_path: Path) -> None:
    refused = railyard(tmp_path / "state", "up", "staging")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "install it from https://www.pulumi.com" in refused.stderr
    assert "--emulated" in refused.stderr
    assert not (tmp_path / "state").exists()


def test_an_engine_that_is_none_is_refused(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "operations", "version"],
        cwd=ROOT, env={**os.environ, "RAILYARD_STATE": str(tmp_path / "s"), "RAILYARD_ENGINE": "steam"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "set it to embedded or cli" in refused.stderr


def test_wrong_permissions_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    refused = railyard(tmp_path / "state", "keys", "create", "--permissions", "read,fly")
    assert refused.returncode == 2
    assert "read, write, admin" in refused.stderr


def test_an_amount_needs_its_rail(tmp_path: Path) -> None:
    refused = railyard(tmp_path / "state", "pay", "--amount", "5")
    assert refused.returncode == 2
    assert "--rail lightning, x402, onchain or river" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["up", "--yes"], ["up", "--policy-pack", "P", "--yes"]),
        (["--stack", "local"], ["--stack", "local"]),
        (["-v=3", "preview"], ["-v=3", "preview", "--policy-pack", "P"]),
        (["preview", "--policy-pack=mine"], ["preview", "--policy-pack=mine"]),
        (["up", "--policy-pack", "mine"], ["up", "--policy-pack", "mine"]),
        (["stack", "output"], ["stack", "output"]),
        (["config", "get", "up"], ["config", "get", "up"]),
    ],
)
def test_the_policy_pack_goes_with_what_runs_the_program(arguments: list[str], expected: list[str]) -> None:
    assert with_policies(arguments, "P") == expected


def test_help_is_quick(tmp_path: Path) -> None:
    railyard(tmp_path, "--help")
    started = time.monotonic()
    railyard(tmp_path, "--help")
    # 0.2 s alone on the machine; other tests may run beside it.
    assert time.monotonic() - started < 2


def test_a_pulumi_command_without_a_stack_is_about_the_local_one(tmp_path: Path) -> None:
    asked = railyard(tmp_path / "state", "pulumi", "stack", "output")
    assert asked.returncode != 0
    assert "'local'" in asked.stderr
