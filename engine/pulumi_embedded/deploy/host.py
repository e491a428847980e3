"""Finds and starts provider plugins: attached ones, Python dynamic providers, those named by path, those installed.

Source: pulumi `pkg/resource/plugin/provider_plugin.go`, `sdk/go/common/workspace/plugins.go`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pulumi_embedded.deploy.events import DEBUG, INFO, INFO_ERR, Emitter
from pulumi_embedded.deploy.interpreter import Interpreter, resolve_interpreter
from pulumi_embedded.deploy.plugin_provider import PluginProvider
from pulumi_embedded.deploy.processes import Children, bootstrapped
from pulumi_embedded.deploy.provider import ConfigurableProvider
from pulumi_embedded.deploy.registry import DYNAMIC_PACKAGE, ProviderPackage
from pulumi_embedded.deploy.request import UpdateRequest
from pulumi_embedded.errors import EngineError, UnsupportedError

_ATTACH_VARIABLE = "PULUMI_DEBUG_PROVIDERS"


class PluginHost:
    """Starts the provider plugins of one update, each for the provider resource that asks for it."""

    def __init__(
        self,
        request: UpdateRequest,
        *,
        children: Children,
        emitter: Emitter,
        engine_address: str,
        interpreter: Callable[[], Interpreter],
        builtins: ConfigurableProvider,
        directory: Path,
    ) -> None:
        self._request = request
        self._children = children
        self._emitter = emitter
        self._engine_address = engine_address
        self._interpreter = interpreter
        self._builtins = builtins
        self._directory = directory
        self._spares: dict[ProviderPackage, asyncio.Task[ConfigurableProvider]] = {}
        self._streams = 0

    def prestart(self, package: ProviderPackage) -> None:
        """Begin to start a plugin that will surely be asked for, while the program starts."""
        if package not in self._spares and package.name != "pulumi":
            self._spares[package] = asyncio.create_task(self._start(package))

    async def load(self, package: ProviderPackage) -> ConfigurableProvider:
        """Return a provider of its own for each call.

        Raises:
            EngineError: there is no such plugin, or it does not start.
        """
        if package.name == "pulumi":
            return self._builtins
        spare = self._spares.pop(package, None)
        if spare is not None:
            return await spare
        return await self._start(package)

    async def close(self) -> None:
        """Let go of plugins that were started but never asked for."""
        for task in self._spares.values():
            task.cancel()
        await asyncio.gather(*self._spares.values(), return_exceptions=True)
        self._spares.clear()

    async def _start(self, package: ProviderPackage) -> ConfigurableProvider:
        port = attach_port(package.name, self._request.environment)
        if port is not None:
            provider = PluginProvider(package.name, f"127.0.0.1:{port}", self._engine_address, _nothing, _silence)
            await provider.start(directory=None, attach=True)
            return provider
        command, directory = self._command(package)
        child, port = await self._children.start_plugin(
            command,
            cwd=self._directory,
            environment=self._environment(package),
            name=f"the provider plugin '{package.name}'",
            listener=self._listener(quiet=package.name != DYNAMIC_PACKAGE),
        )
        provider = PluginProvider(package.name, f"127.0.0.1:{port}", self._engine_address, child.stop, child.last_words)
        await provider.start(directory=directory, attach=False)
        return provider

    def _command(self, package: ProviderPackage) -> tuple[list[str], str]:
        """Return the command that starts a plugin, and the folder it is told to be its own."""
        if package.name == DYNAMIC_PACKAGE:
            arguments = [self._engine_address]
            command = bootstrapped(self._interpreter().path, "module", "pulumi.dynamic", arguments)
            return command, str(self._directory)
        path = self._find(package)
        if path.is_dir():
            return self._folder_command(path, package.name), str(path)
        if not path.exists():
            raise EngineError(f"the provider plugin '{package.name}' of Pulumi.yaml is not at {path}")
        return bootstrapped(sys.executable, "exec", str(path), [self._engine_address]), str(path.parent)

    def _find(self, package: ProviderPackage) -> Path:
        binary = f"pulumi-resource-{package.name}"
        for plugin in self._request.project.plugins:
            if plugin.name == package.name and (not plugin.version or plugin.version == package.version):
                folder = (self._request.project.root / plugin.path).resolve()
                return folder / binary if (folder / binary).is_file() else folder
        on_path = shutil.which(binary, path=self._request.environment.get("PATH", os.environ.get("PATH")))
        if on_path:
            return Path(on_path)
        home = self._request.environment.get("PULUMI_HOME") or os.environ.get("PULUMI_HOME")
        cache = Path(home) if home else Path.home() / ".pulumi"
        installed = cache / "plugins" / f"resource-{package.name}-v{package.version}"
        if package.version and installed.is_dir():
            return installed / binary if (installed / binary).is_file() else installed
        version = f" {package.version}" if package.version else ""
        raise EngineError(
            f"no provider plugin '{package.name}'{version} is known here: attach one with {_ATTACH_VARIABLE}="
            f"{package.name}:<port>, name its path under `plugins.providers` in Pulumi.yaml, or use the Pulumi CLI, "
            "which downloads plugins"
        )

    def _folder_command(self, folder: Path, name: str) -> list[str]:
        """Return the command for a plugin that is a folder with a PulumiPlugin.yaml."""
        settings = folder / "PulumiPlugin.yaml"
        if not settings.is_file():
            raise EngineError(
                f"the provider plugin '{name}' is not in {folder}: neither 'pulumi-resource-{name}' nor "
                "'PulumiPlugin.yaml' is there"
            )
        import yaml

        loaded = yaml.safe_load(settings.read_text())
        runtime = loaded.get("runtime") if isinstance(loaded, dict) else None
        kind = runtime.get("name") if isinstance(runtime, dict) else runtime
        options: dict[str, Any] = (runtime.get("options") or {}) if isinstance(runtime, dict) else {}
        if kind != "python":
            raise UnsupportedError(f"the provider plugin '{name}', whose runtime is '{kind}',")
        interpreter = resolve_interpreter(folder, options) if options else self._interpreter()
        if (folder / "__main__.py").is_file():
            return bootstrapped(interpreter.path, "script", str(folder), [self._engine_address])
        return bootstrapped(interpreter.path, "module", "pulumi.run.plugin", [folder.name, self._engine_address])

    def _environment(self, package: ProviderPackage) -> dict[str, str]:
        request = self._request
        environment = {**os.environ, **request.environment}
        if package.name == DYNAMIC_PACKAGE:
            environment.update(self._interpreter().environment)
        for key, value in request.project.runtime_options.items():
            environment[f"PULUMI_RUNTIME_{key.upper()}"] = str(value)
        own = {
            key.partition(":")[2]: value
            for key, value in request.config.items()
            if key.partition(":")[0] == package.name
        }
        environment["PULUMI_PROJECT"] = request.project.name
        environment["PULUMI_CONFIG"] = json.dumps(own)
        for new, old in package.environment:
            if new in environment:
                environment[old] = environment[new]
        return environment

    def _listener(self, *, quiet: bool) -> Callable[[str, bool], None]:
        self._streams += 2
        out, err = self._streams - 1, self._streams

        def listen(line: str, is_error: bool) -> None:
            severity = DEBUG if quiet else INFO_ERR if is_error else INFO
            self._emitter.diagnostic(severity, line, stream=err if is_error else out)

        return listen


def attach_port(package: str, environment: dict[str, str]) -> int | None:
    """Return the port of a provider that somebody else started, as PULUMI_DEBUG_PROVIDERS names it.

    Raises:
        EngineError: the variable is malformed.
    """
    for item in (environment.get(_ATTACH_VARIABLE) or os.environ.get(_ATTACH_VARIABLE) or "").split(","):
        name, _, port = item.strip().partition(":")
        if name == package:
            if not port.isdigit():
                raise EngineError(f"expected a numeric port for '{name}' in {_ATTACH_VARIABLE}, got '{port}'")
            return int(port)
    return None


async def _nothing() -> None:
    """An attached provider belongs to whoever started it."""


async def _silence() -> str:
    """What an attached provider prints is seen elsewhere."""
    return ""
