"""Runs the program: in a process of its own, or inside the client that asked for it (inline programs).

Source: pulumi `sdk/python/cmd/pulumi-language-python`, `pkg/resource/deploy/program_source.go`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from pulumi_embedded.deploy.channels import message_of, open_channel
from pulumi_embedded.deploy.events import INFO, INFO_ERR, Emitter
from pulumi_embedded.deploy.interpreter import Interpreter
from pulumi_embedded.deploy.launch import Launch, program_folder
from pulumi_embedded.deploy.processes import Child, Children
from pulumi_embedded.deploy.request import UpdateRequest
from pulumi_embedded.errors import EngineError

_SHOWN = 32
_OUT, _ERR = 1, 2
_TYPE_CHECKERS = ("mypy", "pyright")


class ProgramError(Exception):
    """The program failed; an empty message means that the reason has been shown."""


def _without_environment(interpreter: Interpreter, folder: Path) -> list[str]:
    """Return the options that keep mypy out of a virtual environment in the program's folder."""
    virtualenv = interpreter.environment.get("VIRTUAL_ENV")
    return ["--exclude", os.path.relpath(virtualenv, folder)] if virtualenv else []


class Program:
    """The program of one update, local or inline."""

    def __init__(
        self,
        request: UpdateRequest,
        *,
        children: Children,
        emitter: Emitter,
        interpreter: Callable[[], Interpreter],
        engine_address: str,
    ) -> None:
        self._request = request
        self._children = children
        self._emitter = emitter
        self._interpreter = interpreter
        self._engine_address = engine_address
        self._child: Child | None = None
        self._muted = False

    async def run(self, monitor_address: str) -> None:
        """Run the program to its end.

        Raises:
            ProgramError: it failed.
        """
        if self._request.options.client:
            await self._run_inline(monitor_address)
        else:
            await self._run_process(monitor_address)

    async def stop(self) -> None:
        """End the program's process, if it has one and still runs."""
        if self._child is not None and self._child.running:
            await self._child.stop()

    def mute(self) -> None:
        """Show nothing more of what the program prints: it is being ended."""
        self._muted = True

    async def _run_process(self, monitor_address: str) -> None:
        request = self._request
        folder, entry = program_folder(request.project)
        interpreter = self._interpreter()
        await self._check_types(interpreter, folder)
        launch = request.launch or Launch(request.project, interpreter, request.environment)
        child, out, err = await self._children.adopt(launch.adopt(), "the program")
        self._child = child
        child.pump(out, self._listen, is_error=False)
        child.pump(err, self._listen, is_error=True)
        # A pipe holds 64 KiB and a configuration may be longer, so that this may have to wait for the program.
        await asyncio.to_thread(launch.begin, self._arguments(monitor_address, folder, entry))
        code = await child.wait()
        if code == _SHOWN:
            raise ProgramError
        if code < 0:
            raise ProgramError(f"an unhandled error occurred: program was ended by signal {-code}")
        if code:
            raise ProgramError(f"an unhandled error occurred: program exited with non-zero exit code: {code}")

    def _arguments(self, monitor_address: str, folder: Path, entry: str) -> dict[str, Any]:
        """Return what `run_program.py` waits for."""
        request = self._request
        return {
            "monitor": monitor_address,
            "engine": self._engine_address,
            "project": request.project.name,
            "stack": request.stack,
            "organization": request.organization,
            "root_directory": str(request.project.root),
            "folder": str(folder),
            "program": entry,
            "dry_run": request.dry_run,
            "parallel": request.options.parallel,
            "debug": request.options.hears_debug,
            "environment": {
                "PULUMI_CONFIG": json.dumps(request.config),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(request.config_secret_keys),
            },
        }

    async def _check_types(self, interpreter: Interpreter, folder: Path) -> None:
        """Run the type checker that the runtime options name over the program.

        Raises:
            EngineError: there is no such checker.
            ProgramError: it found something, or is not installed.
        """
        checker = self._request.project.runtime_options.get("typechecker")
        if not checker:
            return
        if checker not in _TYPE_CHECKERS:
            raise EngineError(
                f"unsupported typechecker option: '{checker}' in Pulumi.yaml; it is one of {', '.join(_TYPE_CHECKERS)}"
            )
        command = [interpreter.path, "-m", checker]
        if checker == "mypy":
            command += _without_environment(interpreter, folder)
        environment = {**os.environ, **self._request.environment, **interpreter.environment}
        child, out, err = await self._children.start(
            [*command, str(folder)], cwd=folder, environment=environment, name=checker
        )
        lines: list[str] = []
        child.pump(out, lambda line, _: lines.append(line), is_error=False)
        child.pump(err, lambda line, _: lines.append(line), is_error=True)
        code = await child.wait()
        output = "".join(lines)
        if code and f"No module named {checker}" in output:
            raise ProgramError(
                f"The typechecker option is set to {checker}, but {checker} is not installed. Please add an entry for "
                f"{checker} to requirements.txt and run `{interpreter.path} -m pip install -r requirements.txt`"
            )
        if code:
            raise ProgramError(f"{checker} failed: exit status {code}\n{output}".rstrip())

    def _listen(self, line: str, is_error: bool) -> None:
        if not self._muted:
            self._emitter.diagnostic(INFO_ERR if is_error else INFO, line, stream=_ERR if is_error else _OUT)

    async def _run_inline(self, monitor_address: str) -> None:
        request = self._request
        folder, entry = program_folder(request.project)
        message: Any = language_pb2.RunRequest(
            project=request.project.name,
            stack=request.stack,
            pwd=str(folder),
            program=entry,
            args=[self._engine_address],
            config=request.config,
            dryRun=request.dry_run,
            parallel=request.options.parallel,
            monitor_address=monitor_address,
            configSecretKeys=request.config_secret_keys,
            organization=request.organization,
        )
        address = request.options.client
        async with open_channel(address) as channel:
            try:
                answer = await language_pb2_grpc.LanguageRuntimeStub(channel).Run(message, wait_for_ready=False)
            except grpc.aio.AioRpcError as error:
                if error.code() == grpc.StatusCode.UNAVAILABLE:
                    raise EngineError(f"the program at {address} does not answer: {message_of(error)}") from None
                raise ProgramError(message_of(error)) from None
            except asyncio.CancelledError:
                raise ProgramError("the program was cancelled") from None
        if answer.bail:
            raise ProgramError
        if answer.error:
            raise ProgramError(f"an unhandled error occurred: {answer.error}")
