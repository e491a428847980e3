"""The deployed stack as the suite sees it: its outputs, read once from standard input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class OutputsError(Exception):
    """The outputs are not those of a deployed stack; the message says what is missing."""


@dataclass(frozen=True)
class Process:
    """One process of the stack.

    Attributes:
        name: such as "redis".
        host, port: where it listens.
        log: its log file.
    """

    name: str
    host: str
    port: int
    log: Path


@dataclass(frozen=True)
class DeployedStack:
    """What a stack says of itself.

    Attributes:
        url: of the router.
        release: that was asked for.
        network: "regtest" on this machine.
        admin_key: may read everything.
        processes: by name.
    """

    url: str
    release: str
    network: str
    admin_key: str
    processes: dict[str, Process]

    @property
    def secrets_folder(self) -> Path:
        """Where the processes' secret files are, beside their logs."""
        return next(iter(self.processes.values())).log.parents[1] / "secrets"

    @classmethod
    def from_outputs(cls, text: str) -> DeployedStack:
        """Read the stack's outputs, a JSON object with secrets shown.

        Raises:
            OutputsError: when the text is not one.
        """
        try:
            outputs = json.loads(text)
        except ValueError as error:
            raise OutputsError(f"Standard input holds no JSON object of stack outputs: {error}.") from None
        try:
            processes = {p["name"]: _process(p) for p in outputs["services"]}
            if not processes:
                raise OutputsError("The stack's outputs name no services: it is not deployed. Run ./railyard up.")
            return cls(outputs["url"], outputs["release"], outputs["network"], outputs["bootstrapAdminKey"], processes)
        except (KeyError, TypeError) as error:
            raise OutputsError(
                f"The stack's outputs lack {error}: the stack is not deployed whole. Run ./railyard up."
            ) from None


def _process(entry: dict[str, Any]) -> Process:
    address = urlsplit(f"//{entry['address']}")
    return Process(entry["name"], address.hostname or "", address.port or 0, Path(entry["log"]))
