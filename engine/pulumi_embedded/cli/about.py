"""`version`, `about`, `whoami`, `login` and `logout`."""

from __future__ import annotations

import getpass
import platform
import socket
import sys
from typing import TYPE_CHECKING, Any

from pulumi_embedded.version import CLI_VERSION, ENGINE_VERSION

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context
    from pulumi_embedded.cli.flags import Parsed


def version(_parsed: Parsed) -> int:
    """Print the CLI version whose contract this engine keeps."""
    sys.stdout.write(f"v{CLI_VERSION}\n")
    return 0


def wants_json(context: Context) -> bool:
    """Say whether `--json` or `--output json` was given.

    Raises:
        UsageError: `--output` names another format.
    """
    from pulumi_embedded.errors import UsageError

    output = context.flags.text("output")
    if output not in ("", "default", "json"):
        raise UsageError(f"unsupported --output '{output}'; supported values are: default, json")
    return context.flags.on("json") or output == "json"


def whoami(context: Context) -> int:
    """Print the user's name on this machine, which is who a file backend knows."""
    user = getpass.getuser()
    url = context.location.url
    if wants_json(context):
        context.print_json({"user": user, "url": url})
    elif context.flags.values.get("verbose"):
        context.print(f"User: {user}\nOrganizations: \nBackend URL: {url}\nToken type: personal")
    else:
        context.print(user)
    return 0


def login(context: Context) -> int:
    """Remember a `file://` backend in PULUMI_HOME."""
    import os

    from pulumi_embedded.backend.layout import Layout
    from pulumi_embedded.backend.location import BACKEND_URL_ENV, current_location, parse_url, store_login
    from pulumi_embedded.errors import EngineError, UnsupportedError, UsageError

    given = context.flags.arguments[0] if context.flags.arguments else context.flags.text("cloud-url")
    if context.flags.on("local"):
        if given:
            raise UsageError("a URL may not be specified when --local mode is enabled")
        given = "file://~"
    if not given:
        if not os.environ.get(BACKEND_URL_ENV) and not (context.project_or_none and context.project.backend_url):
            raise UnsupportedError("logging in to Pulumi Cloud", "name a folder as in `login file://<folder>`, or")
        given = current_location(context.project.backend_url if context.project_or_none else "", context.folder).url
    location = parse_url(given, context.folder)
    if not location.folder.is_dir():
        raise EngineError(f'unable to open state directory "{given}": {location.folder} is not a folder; make it first')
    Layout(location, context.now_ns)
    store_login(given)
    in_force = os.environ.get(BACKEND_URL_ENV)
    if in_force and in_force != given:
        context.note(
            f"Warning: The {BACKEND_URL_ENV} environment variable is set to '{in_force}', which conflicts with the "
            f"login URL '{given}'."
        )
    context.print(f"Logged in to {socket.gethostname()} as {getpass.getuser()} ({given})")
    return 0


def logout(context: Context) -> int:
    """Forget a backend."""
    from pulumi_embedded.backend.location import remove_login

    url: str | None = context.flags.arguments[0] if context.flags.arguments else context.flags.text("cloud-url") or None
    if context.flags.on("local"):
        url = "file://~"
    if context.flags.on("all"):
        url = ""
    gone = remove_login(url)
    context.print(f"Logged out of {gone}")
    return 0


def about(context: Context) -> int:
    """Print what this engine is, where it runs, and which project, stack and backend it sees."""
    from pulumi_embedded.cli.session import Session
    from pulumi_embedded.errors import EngineError

    data: dict[str, Any] = {
        "plugins": [],
        "host": {"os": platform.system().lower(), "version": platform.release(), "arch": platform.machine()},
        "backend": None,
        "currentStack": None,
        "cliAbout": {"version": CLI_VERSION, "goVersion": "", "goCompiler": "", "embedded": ENGINE_VERSION},
        "runtime": None,
        "dependencies": [],
        "errors": [],
    }
    try:
        project = context.project_or_none
        if project is not None:
            data["runtime"] = {"language": project.runtime, "version": platform.python_version()}
            data["plugins"] = [{"name": project.runtime, "version": None, "kind": "language"}]
            data["dependencies"] = _dependencies()
    except EngineError as error:
        data["errors"].append(str(error))
    try:
        data["backend"] = {
            "name": socket.gethostname(),
            "url": context.location.url,
            "user": getpass.getuser(),
            "organizations": None,
        }
        name = context.stack_name()
        deployment = Session(context, name).current.deployment
        data["currentStack"] = {
            "name": name.stack,
            "fullyQualifiedName": name.full,
            "resources": [{"type": item.get("type"), "urn": item.get("urn")} for item in deployment.resources],
            "pendingOps": [
                {"type": item.get("type"), "urn": (item.get("resource") or {}).get("urn")}
                for item in deployment.pending_operations
            ],
        }
    except EngineError as error:
        data["errors"].append(str(error))
    if wants_json(context):
        context.print_json(data)
    else:
        _print_about(context, data)
    return 0


def _dependencies() -> list[dict[str, str]]:
    from importlib.metadata import distributions

    found = {dist.metadata["Name"]: dist.version for dist in distributions() if dist.metadata["Name"]}
    wanted = ("pulumi", "pulumi_policy", "grpcio", "protobuf", "cryptography", "PyYAML", "rich")
    return [{"name": name, "version": found[name]} for name in wanted if name in found]


def _print_about(context: Context, data: dict[str, Any]) -> None:
    host, backend, stack = data["host"], data["backend"], data["currentStack"]
    context.print(f"Engine\n  Version      {ENGINE_VERSION} (embedded), contract of Pulumi v{CLI_VERSION}")
    context.print(f"  Python       {platform.python_version()}\n")
    context.print(f"Host\n  OS           {host['os']} {host['version']}\n  Arch         {host['arch']}\n")
    if backend:
        context.print(f"Backend\n  Name         {backend['name']}\n  URL          {backend['url']}")
        context.print(f"  User         {backend['user']}\n")
    if stack:
        context.print(f"Current Stack: {stack['fullyQualifiedName']} ({len(stack['resources'])} resources)\n")
    for dependency in data["dependencies"]:
        context.print(f"{dependency['name']:<14} {dependency['version']}")
    for error in data["errors"]:
        context.note(f"warning: {error}")
