"""`cancel`: free a stack whose update is gone, losing nothing of what that update did."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from pulumi_embedded.backend.locks import Holder, StackLock, holders, remove_empty_lock_folders
from pulumi_embedded.backend.recovery import fold_to_disk
from pulumi_embedded.errors import CancelledError, EngineError, UsageError

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context


def cancel(context: Context) -> int:
    """Fold the journal into the checkpoint, then remove the locks; both are said.

    A holder that certainly still runs on this machine is told to stop (as Ctrl-C would) and waited for; any other is
    taken to be gone, which is the person's responsibility as with the CLI.
    """
    arguments = context.flags.arguments
    if arguments and context.flags.text("stack"):
        raise UsageError("only one of --stack or argument stack name may be specified, not both")
    name = context.stack_name(arguments[0] if arguments else "")
    shown = context.shown_name(name)
    found = holders(context.layout, name)
    if not found and not context.layout.journal_path(name).exists():
        context.print(f"The stack '{shown}' is not locked: there is nothing to cancel")
        return 0
    _confirm(context, shown)
    for holder in found:
        if holder.recognised and not holder.dead:
            _stop(context, holder)
    if found:
        current = fold_to_disk(context.layout, name)
    else:
        with StackLock(context.layout, name):
            current = fold_to_disk(context.layout, name)
    for holder in found:
        holder.path.unlink(missing_ok=True)
    remove_empty_lock_folders(context.layout, name)
    if current.folded:
        context.print(
            f"The interrupted update's journal ({current.folded} entries) was folded into the state before the stack "
            "was unlocked"
        )
    for kind, resource in ((item.get("type"), item.get("resource")) for item in current.deployment.pending_operations):
        context.print(f"  still pending: {kind} {(resource or {}).get('urn', '')}")
    context.print(f"The currently running update for '{shown}' has been canceled!")
    return 0


def _confirm(context: Context, shown: str) -> None:
    if context.flags.on("yes"):
        return
    if not context.interactive:
        raise UsageError("--yes must be passed in to proceed when running in non-interactive mode")
    context.print(
        f"This will irreversibly cancel the currently running update for '{shown}'!\n"
        "An operation under way may be left half done."
    )
    if not context.confirm(f"Please confirm that this is what you'd like to do by typing `{shown}`:", wanted=shown):
        raise CancelledError("confirmation declined")


def _stop(context: Context, holder: Holder, patience_seconds: float = 30.0) -> None:
    """Ask a running holder to finish what runs and stop, and wait until it has.

    Raises:
        EngineError: it does not; its lock stays.
    """
    import os
    import time

    context.print(f"Asking the running update (pid {holder.pid}) to stop")
    with suppress(ProcessLookupError, PermissionError):
        os.kill(holder.pid, signal.SIGINT)
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        if not holder.path.exists():
            return
        with suppress(PermissionError):
            try:
                os.kill(holder.pid, 0)
            except ProcessLookupError:
                return
        time.sleep(0.1)
    raise EngineError(
        f"the update of pid {holder.pid} did not stop within {patience_seconds:.0f} s; its lock was left: wait for it, "
        f"or end that process (kill -9 {holder.pid}) and run `pulumi cancel` again"
    )
