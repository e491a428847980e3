"""The router of the stack (`railyard:local:Router`): Envoy with two weighted slots and a route for the rollback stack.

- `bootstrap.json`, `clusters.json`, `routes.json` are this update's;
- the weights' file and the rollback stack's files are written once and then left to their owners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.local import envoy_settings
from components.local.binaries import Server
from components.local.process import Ready
from components.local.runtime import RunArgs, Runtime, fingerprint
from components.local.seed_file import SeedFile, SeedFileArgs
from components.local.text_file import TextFile, TextFileArgs

# Envoy's own log as JSON, like its access log.
LOG_FORMAT = '{"time":"%Y-%m-%dT%T.%e","level":"%l","logger":"%n","message":"%j"}'


@dataclass(frozen=True)
class RouterArgs:
    """Arguments of `Router`.

    Attributes:
        server: Envoy.
        port, admin_port: configured ports, 0 for random ones.
    """

    server: Server
    port: int
    admin_port: int


class Router(pulumi.ComponentResource):
    """The way in; `url` is where the service is reached. It runs once `serve` says what it leads to."""

    def __init__(
        self, name: str, args: RouterArgs, runtime: Runtime, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("railyard:local:Router", name, None, opts)
        self._runtime, self._server = runtime, args.server
        self._folder = Path(runtime.path("envoy"))
        self._port = runtime.port("router", args.port, self)
        self._admin = runtime.port("router-admin", args.admin_port, self)
        # Known before the router runs: providers that send webhooks are told it, and the service starts after them.
        self.url = pulumi.Output.concat("http://", self._port.address)

    def serve(self, slots: Mapping[str, pulumi.Input[str]], depends_on: list[pulumi.Resource]) -> None:
        """Run it.

        Args:
            slots: by slot name the address of its web role; a slot that is absent has no endpoint.
            depends_on: what has to run before it.
        """
        port, admin = self._port, self._admin
        bootstrap = self._text(
            "bootstrap",
            pulumi.Output.all(port.address, admin.address).apply(
                lambda addresses: envoy_settings.bootstrap(addresses[0], addresses[1], self._folder)
            ),
        )
        clusters = self._text(
            "clusters",
            pulumi.Output.all(**slots).apply(
                lambda known: envoy_settings.clusters({slot: [known[slot]] for slot in known}, self._folder)
            ),
        )
        followed = [
            clusters,
            self._text("routes", envoy_settings.routes()),
            self._seed("weights", "weights/weights.json", envoy_settings.weights(100, 0)),
            self._seed("rollback-fraction", "rollback/fraction.json", envoy_settings.rollback_fraction(0)),
            self._seed("rollback-endpoints", "rollback/endpoints.json", envoy_settings.rollback_endpoints([])),
        ]
        self.process = self._runtime.process(
            "router",
            RunArgs(
                command=[
                    str(self._server.path),
                    "--config-path",
                    bootstrap.path,
                    "--disable-hot-restart",
                    "--concurrency",
                    "1",
                    "--file-flush-interval-msec",
                    "1000",
                    "--log-format",
                    LOG_FORMAT,
                ],
                listens=[port.address, admin.address],
                # Through the router: it is ready when a healthy slot answers.
                ready=Ready("http", port.address, "/ready"),
                fingerprint=fingerprint(bootstrap.content),
            ),
            self,
            depends_on=[*followed, *depends_on],
        )
        self.register_outputs({"url": self.url, "admin": admin.address})

    def _options(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=[self._runtime.folder])

    def _text(self, name: str, content: pulumi.Input[str]) -> TextFile:
        return TextFile(f"router-{name}", TextFileArgs(str(self._folder / f"{name}.json"), content), self._options())

    def _seed(self, name: str, path: str, content: str) -> SeedFile:
        return SeedFile(f"router-{name}", SeedFileArgs(str(self._folder / path), content), self._options())
