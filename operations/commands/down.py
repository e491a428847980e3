"""`./railyard down`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from operations.commands.arguments import Emulated, StackName

if TYPE_CHECKING:
    from operations.checkout import State
    from operations.progress import Phases
    from operations.stacks import Opened

QUESTION = "This ends the local stack and deletes its database. Go on?"


def down(
    stack: StackName = "local",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; without a terminal nothing is asked.")] = False,
    emulated: Emulated = False,
) -> None:
    """End the stack: its processes, its data, its files. What remains is its history and its settings.

    The next `up` begins with an empty database and the same settings.
    """
    import sys

    if emulated:
        from operations.emulated import commands

        if sys.stdin.isatty() and not yes and not typer.confirm(f"This ends the emulated stack {stack}. Go on?"):
            raise typer.Exit(1)
        commands.down(stack)
        return
    from operations.checkout import State
    from operations.engines import ensure_passphrase
    from operations.locks import railyard_lock
    from operations.progress import Phases
    from operations.screen import screen
    from operations.stacks import opened, require_local

    require_local(stack)
    console = screen()
    state = State.of_this_checkout()
    if not state.folder.exists():
        console.print(f"The stack {stack} is not deployed: there is nothing to end.")
        return
    if sys.stdin.isatty() and not yes and not typer.confirm(QUESTION):
        raise typer.Exit(1)
    phases = Phases(console)
    with railyard_lock(state, "down"):
        if state.passphrase.exists() or state.has_checkpoint(stack):
            ensure_passphrase(state)
            there = opened(stack, state)
            if there.exists():
                _destroy(there, phases)
        _clear(state)
    console.print(f"The stack {stack} is down. Its history and settings are in {state.folder}")


def _destroy(there: Opened, phases: Phases) -> None:
    from operations import settings_file
    from operations.converging import summary
    from operations.deployment import destroy, release_stale_locks
    from operations.watching import Watcher

    restored = settings_file.restore(there.state)
    if restored:
        phases.note(restored)
    with phases.phase("destroy") as phase:
        stack = there.select()
        for lock in release_stale_locks(stack, there.state):
            phases.note(f"the lock of {lock.holder} was stale: its process is gone.")
        watcher = Watcher(doing=phase.doing)
        if not phases.console.is_terminal:
            watcher.done = phases.note
        destroy(stack, watcher)
        phase.outcome = summary(watcher.changes, done=True)
        if not watcher.changes:
            phase.outcome = "nothing was there any more"


def _clear(state: State) -> None:
    """Remove what the stack leaves outside the engine's care; a half-made one may have left more than files."""
    import shutil

    from operations import settings_file

    settings_file.put_away(state)
    for folder in (state.local, state.own, state.engines, state.reports, state.pulumi_home):
        shutil.rmtree(folder, ignore_errors=True)
    (state.folder / "railyard.lock").unlink(missing_ok=True)
