"""`Pulumi.local.yaml`: generated, private, with a copy beside the state that outlives `down` and a cleaned checkout."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from components.settings import GENERATED, NAMESPACE, Generated, SecretKind, Settings, SettingsError
from operations.checkout import ROOT, State
from operations.engine_errors import useful_line, with_our_commands
from operations.errors import OperationError
from operations.files import write_private
from operations.stacks import Opened

SETTINGS = ROOT / "Pulumi.local.yaml"


def _keypair(_: Generated) -> str:
    from solders.keypair import Keypair

    return str(Keypair())


def _address(_: Generated) -> str:
    from solders.keypair import Keypair

    return str(Keypair().pubkey())


GENERATORS: dict[SecretKind, Callable[[Generated], str]] = {
    SecretKind.HEX_32_BYTES: lambda _: secrets.token_hex(32),
    SecretKind.BOOTSTRAP_KEY: lambda _: f"sk_bootstrap_{secrets.token_hex(32)}",
    SecretKind.PREFIXED_HEX: lambda value: value.prefix + secrets.token_hex(32),
    SecretKind.SOLANA_KEYPAIR: _keypair,
    SecretKind.SOLANA_ADDRESS: _address,
}


def read_settings(path: Path) -> dict[str, Any]:
    """The whole of a settings file; empty when it is not there.

    Raises:
        OperationError: it is no YAML mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as reason:
        raise OperationError(
            f"{path} cannot be read: {_why(reason)}. Mend it, or remove it and run ./railyard up."
        ) from None
    if content is not None and not isinstance(content, dict):
        raise OperationError(f"{path} is no mapping: it must hold config: and encryptionsalt:.")
    return content or {}


def _why(reason: Exception) -> str:
    if isinstance(reason, yaml.MarkedYAMLError) and reason.problem_mark:
        return f"line {reason.problem_mark.line + 1}: {reason.problem}"
    return getattr(reason, "strerror", None) or str(reason).splitlines()[0]


def restore(state: State) -> str:
    """Bring the settings file of this state folder back into the checkout; returns what was done, "" for nothing.

    A file that was locked for another state folder is of no use here: its secrets cannot be read. Where this folder
    has its own, that one takes its place; else its plain settings stay and the secrets are made anew.
    """
    copy, there = read_settings(state.settings_copy), read_settings(SETTINGS)
    salt = there.get("encryptionsalt")
    if copy and copy.get("encryptionsalt") == salt:
        return ""
    if copy:
        write_private(SETTINGS, state.settings_copy.read_text(encoding="utf-8"))
        return f"{SETTINGS.name} is back as the stack had it" + (", in place of another stack's." if salt else ".")
    if salt is None or state.has_checkpoint("local"):
        return ""
    plain = {key: value for key, value in (there.get("config") or {}).items() if not _is_secure(value)}
    write_private(SETTINGS, yaml.safe_dump({"config": plain}, sort_keys=False))
    return f"the secrets in {SETTINGS.name} were locked for another state folder; they are made anew."


def _is_secure(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def generate_missing(opened: Opened, doing: Callable[[str], None]) -> int:
    """Set every generated value that the settings lack; returns how many. Secrets reach the engine by stdin alone.

    Args:
        doing: told which value is being made.

    Raises:
        OperationError: the engine refused one.
    """
    there = read_settings(SETTINGS).get("config") or {}
    missing = [value for value in GENERATED if f"{NAMESPACE}:{value.key}" not in there]
    for value in missing:
        doing(value.description)
        set_generated(opened, value)
    return len(missing)


def set_generated(opened: Opened, value: Generated) -> None:
    """Make a value and set it.

    Raises:
        OperationError: the engine refused it.
    """
    # The SDK's set_config puts the value among the command's arguments, where every account on the machine can read it.
    engine = opened.workspace.pulumi_command.command
    kind = "--secret" if value.secret else "--plaintext"
    result = subprocess.run(
        [engine, "config", "set", f"{NAMESPACE}:{value.key}", kind, "--stack", opened.name, "--non-interactive"],
        input=GENERATORS[value.kind](value),
        cwd=opened.folder,
        env={**os.environ, **opened.workspace.env_vars},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise OperationError(f"{value.key} cannot be set: {useful_line([], result.stderr, result.stdout)}")


def check() -> None:
    """Check the plain settings before anything is planned.

    Raises:
        OperationError: with every problem, a line each.
    """
    try:
        Settings.from_file(read_settings(SETTINGS).get("config") or {})
    except SettingsError as error:
        raise OperationError(with_our_commands(str(error))) from None


def keep(state: State) -> None:
    """Make the settings private and keep a copy with the state, without which the stack's data cannot be opened."""
    SETTINGS.chmod(0o600)
    write_private(state.settings_copy, SETTINGS.read_text(encoding="utf-8"))


def put_away(state: State) -> None:
    """Take the settings out of the checkout; the copy with the state is what the next `up` brings back."""
    if SETTINGS.exists():
        keep(state)
        SETTINGS.unlink()
