"""The stacks there are, and how one is opened through `pulumi.automation`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from operations.checkout import ROOT, State
from operations.engines import (
    INSTALL_CLI,
    Engine,
    choose_engine,
    engine_environment,
    ensure_passphrase,
    forget_foreign_settings,
)
from operations.errors import OperationError

if TYPE_CHECKING:
    from pulumi.automation import LocalWorkspace, Stack

LOCAL = "local"
# Stacks in a cloud, as the design names them; run on this machine with --emulated.
CLOUD = ("staging", "prod")


def require_local(stack: str) -> None:
    """Refuse any stack but the local one.

    Raises:
        OperationError: says why in one sentence.
    """
    if stack == LOCAL:
        return
    if stack in CLOUD:
        raise OperationError(
            f"the stack {stack} is in a cloud, which is reached with the Pulumi CLI alone (install it from "
            f"{INSTALL_CLI}, then pulumi up -s {stack}); add --emulated to run it on this machine."
        )
    raise OperationError(
        f"there is no stack named {stack!r}: the stacks are {', '.join((LOCAL, *CLOUD))}.", exit_code=2
    )


@dataclass(frozen=True)
class Opened:
    """A workspace on this checkout's program, its engine, and where its state is."""

    workspace: LocalWorkspace
    engine: Engine
    state: State
    name: str
    folder: Path = ROOT

    def exists(self) -> bool:
        """Whether the backend knows the stack."""
        return self.state.has_checkpoint(self.name)

    def select(self) -> Stack:
        """The stack, which has to exist."""
        from pulumi.automation import Stack

        from operations.engine_errors import in_one_sentence

        with in_one_sentence():
            return Stack.select(self.name, self.workspace)

    def create_or_select(self) -> Stack:
        """The stack, made if missing."""
        from pulumi.automation import Stack

        from operations.engine_errors import in_one_sentence

        # Which of the two is known from the backend: a try costs a process.
        with in_one_sentence():
            return (Stack.select if self.exists() else Stack.create)(self.name, self.workspace)


def not_deployed(stack: str) -> OperationError:
    """What a command says that needs a running stack."""
    return OperationError(f"the stack {stack} is not deployed: run ./railyard up first.")


def open_stack(stack: str, *, make_state: bool) -> Opened:
    """Open a local stack's workspace.

    Args:
        make_state: make the state folder and its passphrase if missing; else a missing one means "not deployed".

    Raises:
        OperationError: the stack is unknown or not deployed, or no engine can run it.
    """
    require_local(stack)
    state = State.of_this_checkout()
    if make_state:
        state.make()
        ensure_passphrase(state)
    elif not state.passphrase.exists():
        raise not_deployed(stack)
    return opened(stack, state)


def opened(stack: str, state: State, *, folder: Path = ROOT, extra: Mapping[str, str] | None = None) -> Opened:
    """A workspace on a state folder that is there.

    Args:
        folder: where the program and its settings are.
        extra: environment of the engine beside what every stack's has.
    """
    from pulumi.automation import LocalWorkspace, PulumiCommand

    engine = choose_engine(state, os.environ)
    forget_foreign_settings()
    command = PulumiCommand(root=str(engine.root) if engine.root else None)
    workspace = LocalWorkspace(
        work_dir=str(folder),
        pulumi_home=str(state.pulumi_home),
        env_vars={**engine_environment(state), **(extra or {})},
        pulumi_command=command,
    )
    return Opened(workspace, engine, state, stack, folder)
