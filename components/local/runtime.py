"""What every part of the local stack stands on (`railyard:local:Runtime`):

- the stack's folder, removed as a whole at the end;
- the reserved ports;
- supervisord, with its password in a 0600 file;
- `process`, `secret_files`, `port`: how the other components make theirs in the same way.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.local.folder import Folder, FolderArgs
from components.local.port import Port, PortArgs
from components.local.process import Process, ProcessArgs, Ready
from components.local.secret_file import SecretFile, SecretFileArgs
from components.local.supervision import daemon_settings
from components.local.supervisor import Supervisor, SupervisorArgs
from components.settings import Ports

PYTHON = sys.executable


@dataclass(frozen=True)
class RuntimeArgs:
    """Arguments of `Runtime`.

    Attributes:
        state: the state folder; the stack's files go to its `local/`.
        ports: configured ports, 0 for a random one.
        supervisor_password: of supervisord's interface, a secret.
    """

    state: Path
    ports: Ports
    supervisor_password: pulumi.Input[str]


@dataclass(frozen=True)
class RunArgs:
    """What differs from process to process; `ProcessArgs` says what each means."""

    command: Sequence[pulumi.Input[str]]
    listens: Sequence[pulumi.Input[str]]
    ready: Ready
    fingerprint: pulumi.Input[str] = ""
    environment: Mapping[str, pulumi.Input[str]] | None = None
    directory: pulumi.Input[str] = "/"
    account: str = ""
    data_folders: Sequence[pulumi.Input[str]] = ()
    stale_files: Sequence[pulumi.Input[str]] = ()
    stop_signal: str = "TERM"
    stop_wait_seconds: int = 10
    ready_within_seconds: int = 30


def fingerprint(*parts: pulumi.Input[str]) -> pulumi.Output[str]:
    """A short digest that changes when one of `parts` does; secret when one of them is."""
    return pulumi.Output.all(*parts).apply(
        lambda values: hashlib.sha256("\0".join(map(str, values)).encode()).hexdigest()[:16]
    )


class Runtime(pulumi.ComponentResource):
    """The ground of the stack; `folder_path` is its folder, `services` the processes in the order of their start."""

    def __init__(self, name: str, args: RuntimeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:local:Runtime", name, None, opts)
        self.folder_path = args.state / "local"
        self._ports = args.ports
        self.services: list[pulumi.Output[dict[str, object]]] = []
        self._folder = Folder("folder", FolderArgs(str(self.folder_path)), pulumi.ResourceOptions(parent=self))
        address = self.port("supervisor", self._ports.supervisor, self)
        settings = pulumi.Output.all(address.number, args.supervisor_password).apply(
            lambda values: daemon_settings(self.folder_path, int(values[0]), values[1])
        )
        files = self.secret_files(
            "supervisor", {"supervisord.conf": settings, "PASSWORD": args.supervisor_password}, self
        )
        self._supervisor = Supervisor(
            "supervisor",
            SupervisorArgs(
                stack_folder=self._folder.path,
                address=address.address,
                settings_file=files["supervisord.conf"].path,
                password_file=files["PASSWORD"].path,
                fingerprint=fingerprint(settings),
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"folder": self._folder.path, "address": self._supervisor.address})

    @property
    def folder(self) -> Folder:
        """The stack's folder; what writes files into it depends on it."""
        return self._folder

    def path(self, *parts: str) -> str:
        """An absolute path in the stack's folder."""
        return str(self.folder_path.joinpath(*parts))

    def port(self, purpose: str, configured: int, parent: pulumi.Resource) -> Port:
        """Reserve a port."""
        arguments = PortArgs(purpose, self._folder.path, configured)
        return Port(f"{purpose}-port", arguments, pulumi.ResourceOptions(parent=parent))

    def secrets_folder(self, process: str) -> str:
        """Where the secret files of a process are (its SECRETS_DIR)."""
        return self.path("secrets", process)

    def secret_files(
        self, process: str, contents: Mapping[str, pulumi.Input[str]], parent: pulumi.Resource
    ) -> dict[str, SecretFile]:
        """One 0600 file a secret in the folder of `process`, named after the variable."""
        options = pulumi.ResourceOptions(parent=parent, depends_on=[self._folder])
        return {
            variable: SecretFile(
                f"{process}-{variable.lower().replace('_', '-')}",
                SecretFileArgs(self.path("secrets", process, variable), content),
                options,
            )
            for variable, content in contents.items()
        }

    def process(
        self, process: str, args: RunArgs, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource] = ()
    ) -> Process:
        """Run a process under supervisord and list it among the services."""
        log = self.path("logs", f"{process}.log")
        made = Process(
            process,
            ProcessArgs(
                name=process,
                stack_folder=self._folder.path,
                supervisor=self._supervisor.address,
                password_file=self._supervisor.passwordFile,
                incarnation=self._supervisor.incarnation,
                command=args.command,
                directory=args.directory,
                environment=args.environment or {},
                fingerprint=args.fingerprint,
                listens=args.listens,
                ready=args.ready,
                log=log,
                account=args.account,
                data_folders=args.data_folders,
                stale_files=args.stale_files,
                stop_signal=args.stop_signal,
                stop_wait_seconds=args.stop_wait_seconds,
                ready_within_seconds=args.ready_within_seconds,
            ),
            pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on)),
        )
        # To the outside a server is reached by TCP or HTTP; how we ask PostgreSQL is our own affair.
        health = {"kind": "tcp" if args.ready.kind == "postgres" else args.ready.kind} | (
            {"path": args.ready.path} if args.ready.path else {}
        )
        self.services.append(
            pulumi.Output.from_input(args.ready.address).apply(
                lambda address: {"name": process, "address": address, "health": health, "log": log}
            )
        )
        return made
