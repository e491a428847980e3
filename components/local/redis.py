"""Redis of the stack (`railyard:local:Redis`): append-only file, a password, the loopback address alone."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.local.binaries import Server
from components.local.process import Ready
from components.local.runtime import RunArgs, Runtime, fingerprint


@dataclass(frozen=True)
class RedisArgs:
    """Arguments of `Redis`: the program, a configured port or 0, the password."""

    server: Server
    port: int
    password: pulumi.Input[str]


def server_settings(port: int, password: str, data: str) -> str:
    """redis.conf. It holds the password, which must not stand among the arguments: write it to a 0600 file."""
    return f"""\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass "{password}"
dir "{data}"
appendonly yes
appendfsync everysec
save ""
maxmemory 64mb
maxmemory-policy noeviction
databases 1
daemonize no
set-proc-title no
loglevel notice
"""


class Redis(pulumi.ComponentResource):
    """The cache; `url` is a secret."""

    def __init__(
        self, name: str, args: RedisArgs, runtime: Runtime, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("railyard:local:Redis", name, None, opts)
        port = runtime.port("redis", args.port, self)
        data = runtime.path("redis")
        settings = pulumi.Output.all(port.number, args.password).apply(
            lambda values: server_settings(int(values[0]), values[1], data)
        )
        files = runtime.secret_files("redis", {"redis.conf": settings}, self)
        self.process = runtime.process(
            "redis",
            RunArgs(
                command=[str(args.server.path), files["redis.conf"].path],
                listens=[port.address],
                ready=Ready("tcp", port.address),
                fingerprint=fingerprint(settings),
                directory=data,
                data_folders=[data],
            ),
            self,
        )
        self.url = pulumi.Output.format("redis://:{}@{}/0", args.password, port.address)
        self.register_outputs({"address": port.address})
