"""Which Python runs the program, its dynamic providers and its policy packs: the project's runtime options decide.

Source: pulumi `sdk/python/toolchain`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pulumi_embedded.errors import EngineError


@dataclass(frozen=True)
class Interpreter:
    """A Python interpreter and the the variables that belong to its environment."""

    path: str
    environment: dict[str, str] = field(default_factory=dict)


def resolve_interpreter(root: Path, options: dict[str, Any]) -> Interpreter:
    """Return the interpreter that the runtime options name; without options the one that runs the engine.

    Args:
        root: the folder of Pulumi.yaml (or PulumiPolicy.yaml, PulumiPlugin.yaml).
        options: `runtime.options`: `virtualenv` (a folder, relative to `root`) and `toolchain` (pip, uv or poetry).

    Raises:
        EngineError: the environment does not exist, or the toolchain is not known.
    """
    toolchain = options.get("toolchain") or "pip"
    virtualenv = options.get("virtualenv")
    if toolchain not in ("pip", "uv", "poetry"):
        raise EngineError(f"unknown python toolchain '{toolchain}' in {root}: use pip, uv or poetry")
    if not virtualenv and toolchain == "uv":
        virtualenv = os.environ.get("UV_PROJECT_ENVIRONMENT") or ".venv"
    if not virtualenv and toolchain == "poetry":
        virtualenv = _poetry_environment(root)
    if virtualenv:
        return _in_environment(root, str(virtualenv))
    command = os.environ.get("PULUMI_PYTHON_CMD")
    if command:
        found = shutil.which(command)
        if not found:
            raise EngineError(f"PULUMI_PYTHON_CMD names '{command}', which is not on PATH")
        return Interpreter(found)
    return Interpreter(sys.executable)


def _in_environment(root: Path, virtualenv: str) -> Interpreter:
    folder = (root / Path(virtualenv).expanduser()).absolute()
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / ("python.exe" if sys.platform == "win32" else "python")
    if not python.exists():
        state = "is not a virtual environment" if folder.is_dir() else "does not exist"
        raise EngineError(
            f"the 'virtualenv' option of the project in {root} names '{virtualenv}', which {state}; "
            f"make it with `python3 -m venv {folder}` and install the requirements into it"
        )
    path = os.pathsep.join([str(scripts), os.environ.get("PATH", "")])
    return Interpreter(str(python), {"PATH": path, "VIRTUAL_ENV": str(folder)})


@cache
def _poetry_environment(root: Path) -> str:
    try:
        found = subprocess.run(
            ["poetry", "env", "info", "--path"], cwd=root, capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"the poetry environment of {root} cannot be found: {error}") from None
    return found.stdout.strip()
