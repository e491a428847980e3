"""Which engine runs the program: the Pulumi CLI on PATH, else the embedded one; and what both run with."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from operations.checkout import State
from operations.errors import OperationError
from operations.files import write_private

CHOICE = "RAILYARD_ENGINE"
# Settings of another stack or backend that must not reach this one's engine.
FOREIGN = (
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_HOME",
    "PULUMI_STACK",
)
INSTALL_CLI = "https://www.pulumi.com/docs/install/"


@dataclass(frozen=True)
class Engine:
    """A chosen engine.

    Attributes:
        kind: "cli" or "embedded".
        command: the program to run.
        root: what `pulumi.automation.PulumiCommand` takes as its root; None for the one on PATH.
    """

    kind: str
    command: Path
    root: Path | None

    @property
    def title(self) -> str:
        return "Pulumi CLI" if self.kind == "cli" else "embedded engine"


def choose_engine(state: State, environment: Mapping[str, str]) -> Engine:
    """The Pulumi CLI if it is on PATH, else the embedded engine; `RAILYARD_ENGINE=embedded|cli` decides by hand.

    Raises:
        OperationError: the choice names no engine, or the CLI (or its Python language host) is not there.
    """
    choice = environment.get(CHOICE, "")
    if choice not in ("", "cli", "embedded"):
        raise OperationError(f"{CHOICE} is {choice!r}: set it to embedded or cli, or leave it unset.", exit_code=2)
    on_path = shutil.which("pulumi", path=environment.get("PATH"))
    if choice == "embedded" or (choice == "" and on_path is None):
        script = _embedded_script(state)
        return Engine("embedded", script, script.parents[1])
    if on_path is None:
        raise OperationError(f"{CHOICE} is cli, but no pulumi is on PATH: install it from {INSTALL_CLI}")
    if not _has_language_host(Path(on_path), state, environment):
        raise OperationError(
            f"{on_path} has no pulumi-language-python beside it or on PATH, so it cannot run the program: "
            f"install the whole CLI from {INSTALL_CLI} or set {CHOICE}=embedded."
        )
    return Engine("cli", Path(on_path), None)


def _has_language_host(cli: Path, state: State, environment: Mapping[str, str]) -> bool:
    beside = cli.resolve().parent / "pulumi-language-python"
    installed = any(state.pulumi_home.glob("plugins/language-python-*"))
    return beside.exists() or installed or bool(shutil.which(beside.name, path=environment.get("PATH")))


def _embedded_script(state: State) -> Path:
    """`<state>/engine/<version>/bin/pulumi`, written when missing or made by another checkout or Python."""
    wanted = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m pulumi_embedded "$@"\n'
    for script in sorted(state.engines.glob("*/bin/pulumi")):
        if script.read_text(encoding="utf-8") == wanted:
            return script
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "pulumi_embedded", "version"], capture_output=True, text=True, check=False
    )
    version = asked.stdout.strip().removeprefix("v")
    if asked.returncode != 0 or not version:
        raise OperationError(
            "the embedded engine does not start: " + (asked.stderr.strip().splitlines() or ["it said nothing"])[-1]
        )
    shutil.rmtree(state.engines, ignore_errors=True)
    script = state.engines / version / "bin" / "pulumi"
    write_private(script, wanted)
    script.chmod(0o755)
    return script


def engine_environment(state: State) -> dict[str, str]:
    """What every engine command of a local stack runs with."""
    return {
        "PULUMI_BACKEND_URL": state.backend_url,
        "PULUMI_HOME": str(state.pulumi_home),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(state.passphrase),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "RAILYARD_STATE": str(state.folder),
    }


def forget_foreign_settings() -> None:
    """Drop what the surroundings set for other stacks: `pulumi.automation` hands all of our environment on."""
    for name in FOREIGN:
        os.environ.pop(name, None)


def ensure_passphrase(state: State) -> None:
    """Make the passphrase that the stack's secrets are locked with, once.

    Raises:
        OperationError: a stack is there whose passphrase is gone.
    """
    if state.passphrase.exists():
        return
    if state.has_checkpoint("local") or state.settings_copy.exists():
        raise OperationError(
            f"{state.passphrase} is gone, and without it nobody can read the secrets of the stack in {state.folder}: "
            "put the file back, or end the stack's processes and remove that folder to begin anew."
        )
    write_private(state.passphrase, secrets.token_hex(32))
