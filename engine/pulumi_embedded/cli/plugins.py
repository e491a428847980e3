"""`plugin` and `install`: this engine downloads nothing; it says what it can run and what it cannot."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulumi_embedded.cli.about import wants_json
from pulumi_embedded.cli.table import ago, table
from pulumi_embedded.errors import EngineError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context

_KINDS = ("resource", "language", "analyzer", "converter", "tool")
_BUILT_IN = (("python", "language"), ("pulumi-python", "resource"), ("policy", "analyzer"))
"""What the SDK in the environment brings: the language, dynamic providers, and policy packs."""


def _sdk() -> tuple[str, Path]:
    """Return the version and folder of the Pulumi SDK in this environment, without importing it."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = distribution("pulumi")
    except PackageNotFoundError:
        raise EngineError(f"the Python package 'pulumi' is not installed for {sys.executable}") from None
    return found.version, Path(str(found.locate_file("pulumi")))


def _known(context: Context) -> list[dict[str, Any]]:
    version, folder = _sdk()
    plugins = [(name, kind, version, folder) for name, kind in _BUILT_IN]
    project = context.project_or_none
    for entry in project.providers if project else []:
        assert project is not None
        plugins.append((entry["name"], "resource", entry.get("version", ""), (project.root / entry["path"]).resolve()))
    return [_described(*plugin) for plugin in plugins]


def _described(name: str, kind: str, version: str, path: Path) -> dict[str, Any]:
    data: dict[str, Any] = {"name": name, "kind": kind}
    if version:
        data["version"] = version
    try:
        moment = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    except OSError:
        raise EngineError(f"the provider '{name}' of Pulumi.yaml does not exist at {path}") from None
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return {**data, "size": 0, "installTime": stamp, "lastUsedTime": stamp}


def list_plugins(context: Context) -> int:
    """`plugin ls`."""
    plugins = _known(context)
    if wants_json(context):
        context.print_json(plugins)
        return 0
    rows = [["NAME", "KIND", "VERSION", "INSTALLED"]]
    rows += [[p["name"], p["kind"], p.get("version", "n/a"), ago(p["installTime"])] for p in plugins]
    context.print(table(rows))
    return 0


def install(context: Context) -> int:
    """`plugin install`: nothing to do for what is here, a refusal for anything else."""
    arguments = context.flags.arguments
    if not arguments:
        _known(context)
        context.print("Everything that this project's plugins need is here")
        return 0
    if arguments[0] not in _KINDS:
        raise UsageError(f"unrecognized plugin kind: {arguments[0]}; it is one of {', '.join(_KINDS)}")
    if len(arguments) == 1:
        raise UsageError("missing plugin name argument")
    name = arguments[1]
    if not any(plugin["name"] == name and plugin["kind"] == arguments[0] for plugin in _known(context)):
        raise UnsupportedError(
            f"downloading the {arguments[0]} plugin '{name}'",
            "name a provider that is on this machine by its path under `plugins.providers` in Pulumi.yaml, or install "
            "the Pulumi CLI (https://www.pulumi.com/docs/install/)",
        )
    return 0


def remove(context: Context) -> int:
    """`plugin rm`: there is no cache to remove anything from."""
    context.print("no plugins found to uninstall: this engine keeps none")
    return 0


def install_project(context: Context) -> int:
    """`install`: make the project's virtual environment and fill it, and check its plugins."""
    flags = context.flags
    project = context.project
    if project.runtime not in ("python", ""):
        raise UnsupportedError(f"programs of the runtime '{project.runtime}'")
    if not flags.on("no-plugins"):
        _known(context)
    if not flags.on("no-dependencies"):
        _install_dependencies(context)
    return 0


def _install_dependencies(context: Context) -> None:
    project = context.project
    toolchain = str(project.runtime_options.get("toolchain") or "pip").lower()
    if toolchain != "pip":
        raise UnsupportedError(f"installing dependencies with {toolchain}", f"run {toolchain} yourself, or install the "
                               "Pulumi CLI (https://www.pulumi.com/docs/install/)")  # fmt: skip
    requirements = project.root / "requirements.txt"
    if not requirements.is_file():
        context.print("No requirements.txt: nothing to install")
        return
    python = Path(sys.executable)
    virtualenv = str(project.runtime_options.get("virtualenv") or "")
    if virtualenv:
        folder = (project.root / virtualenv).absolute()
        python = folder / "bin" / "python"
        if not python.exists():
            context.print(f"Creating virtual environment in {folder}")
            _call([sys.executable, "-m", "venv", str(folder)], project.root)
    context.print("Installing dependencies")
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)]
    _call(command, project.root)
    context.print("Finished installing dependencies")


def _call(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise EngineError(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise EngineError(f"`{' '.join(command[:4])}` failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
