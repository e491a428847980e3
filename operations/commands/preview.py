"""`./railyard preview`."""

from __future__ import annotations

from operations.commands.arguments import Emulated, Refresh, StackName


def preview(stack: StackName = "local", emulated: Emulated = False, refresh: Refresh = False) -> None:
    """Show what `up` would change, and what the policies say of it. Makes nothing but the stack's settings.

    Looks at what really runs: a process that died shows as a change.
    """
    if emulated:
        from operations.emulated import commands

        commands.preview(stack, refresh=refresh)
        return
    from operations.checkout import State
    from operations.converging import plan, prepare
    from operations.progress import Phases
    from operations.screen import screen
    from operations.stacks import require_local
    from operations.watching import DONE

    require_local(stack)
    console = screen()
    phases = Phases(console)
    state = State.of_this_checkout()
    state.make()
    watcher = plan(prepare(stack, state, phases), phases)
    for operation, kind, name in watcher.steps:
        console.print(f"  {DONE.get(operation, operation)} {kind} {name}")
    if watcher.steps:
        console.print("\nRun ./railyard up to do it.")
