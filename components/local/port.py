"""A TCP port on the loopback address: the configured one, or a random free one from 20000 to 31999."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi.dynamic

from components.local.errors import LocalPlatformError
from components.local.leftovers import processes_of
from components.local.listeners import is_free, listener_on
from components.local.provider import LocalProvider, Properties
from components.local.supervision import running_daemon

# Below the range systems hand out to outgoing connections (Linux: from 32768), so that none of those takes the port.
FIRST_PORT, LAST_PORT = 20000, 31999
ATTEMPTS = 200


@dataclass(frozen=True)
class PortArgs:
    """Arguments of `Port`.

    Attributes:
        purpose: what listens there, for messages ("router").
        stack_folder: folder of the running stack; its `ports/` holds the reservations.
        configured: the port to take, 0 for a random free one.
    """

    purpose: str
    stack_folder: pulumi.Input[str]
    configured: int = 0


def reservations(stack: Path) -> dict[str, int]:
    """The ports that resources of this stack reserved, by purpose."""
    folder = stack / "ports"
    if not folder.exists():
        return {}
    return {entry.read_text(): int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()}


def _reserve(stack: Path, port: int, purpose: str) -> bool:
    folder = stack / "ports"
    folder.mkdir(exist_ok=True, mode=0o700)
    unfinished = folder / f".{purpose}"
    unfinished.write_text(purpose)
    try:
        # A link to a complete file is made whole or not at all, and never over another's reservation.
        os.link(unfinished, folder / str(port))
    except FileExistsError:
        return (folder / str(port)).read_text() == purpose
    finally:
        unfinished.unlink()
    return True


def _held_by_a_stranger(stack: Path, port: int) -> str:
    listener = listener_on(port)
    if listener is None or listener.pid in {process.pid for process in processes_of(stack)}:
        return ""
    return str(listener)


class PortProvider(LocalProvider):
    """A reservation, a file named after the port: two resources of a stack never pick the same one."""

    replaced_by = frozenset({"stackFolder", "purpose", "configured", "held"})

    def problems(self, inputs: Properties) -> dict[str, str]:
        configured = inputs.get("configured")
        if isinstance(configured, int | float) and configured and not 1024 <= configured <= 65535:
            return {
                "configured": f"Port {configured:.0f} is not between 1024 and 65535: choose another in railyard:ports."
            }
        return {}

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        stack, purpose, configured = Path(inputs["stackFolder"]), inputs["purpose"], int(inputs["configured"])
        reserved = reservations(stack).get(purpose)
        if reserved is not None and configured in (0, reserved) and not _held_by_a_stranger(stack, reserved):
            port = reserved
        elif configured:
            port = self._take(stack, purpose, configured)
        else:
            port = self._choose(stack, purpose)
        return f"{purpose}-{port}", {**inputs, "port": port}

    def _take(self, stack: Path, purpose: str, port: int) -> int:
        stranger = _held_by_a_stranger(stack, port)
        if stranger:
            raise LocalPlatformError(
                f"Port {port}, configured for {purpose} in railyard:ports, is in use by {stranger}: end that program "
                "or configure another port."
            )
        if not _reserve(stack, port, purpose):
            raise LocalPlatformError(
                f"Port {port} is configured for {purpose} in railyard:ports, and another part of this stack has it: "
                "give each its own."
            )
        return port

    def _choose(self, stack: Path, purpose: str) -> int:
        chance = random.SystemRandom()
        for _ in range(ATTEMPTS):
            port = chance.randint(FIRST_PORT, LAST_PORT)
            if is_free(port) and _reserve(stack, port, purpose):
                return port
        raise LocalPlatformError(
            f"No free port for {purpose} from {FIRST_PORT} to {LAST_PORT} in {ATTEMPTS} tries: set one in "
            "railyard:ports."
        )

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        stack, port = Path(recorded["stackFolder"]), int(recorded["port"])
        if reservations(stack).get(recorded["purpose"]) != port:
            return None
        # While the stack was down another program may have taken the port: then a new one is chosen. Looking through
        # all processes of a machine is slow, and while supervisord runs its processes hold their ports.
        held = running_daemon(stack) is not None or not _held_by_a_stranger(stack, port)
        return {**recorded, "held": held}

    def remove(self, identifier: str, recorded: Properties) -> None:
        (Path(recorded["stackFolder"]) / "ports" / str(int(recorded["port"]))).unlink(missing_ok=True)


class Port(pulumi.dynamic.Resource, module="railyard", name="Port"):
    """A reserved port; `number` is the port, `address` "127.0.0.1:<port>"."""

    port: pulumi.Output[int]

    def __init__(self, name: str, args: PortArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {
            "purpose": args.purpose,
            "stackFolder": args.stack_folder,
            "configured": args.configured,
            "held": True,
            "port": None,
        }
        super().__init__(PortProvider(), name, properties, opts)

    @property
    def number(self) -> pulumi.Output[int]:
        """The port. Numbers arrive from the engine as floats."""
        return self.port.apply(int)

    @property
    def address(self) -> pulumi.Output[str]:
        """The loopback address with the port."""
        return pulumi.Output.concat("127.0.0.1:", self.number.apply(str))
