"""`state upgrade`: the state folder gets the newest layout."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pulumi_embedded.backend.upgrading import legacy_stacks, upgrade
from pulumi_embedded.errors import CancelledError

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context

_WARNING = """\
This will upgrade the current backend to the latest supported version.
Older versions of Pulumi will not be able to read the new format.
Are you sure you want to proceed?
Please confirm that this is what you'd like to do by typing `yes`:"""


def run(context: Context) -> int:
    """`state upgrade`: who answers anything but "yes", or nothing at all, has cancelled it, which is no error."""
    if not context.flags.on("yes"):
        try:
            approved = context.confirm(_WARNING, wanted="yes")
        except CancelledError:
            approved = False
        if not approved:
            context.print("Upgrade cancelled")
            return 0
    stacks = legacy_stacks(context.location)
    if context.interactive:
        stacks = [
            stack if stack.project else replace(stack, project=context.ask(f"The project of stack {stack.name}:"))
            for stack in stacks
        ]
    moved = upgrade(context.location, stacks, context.now_ns, lambda text: context.note(f"warning: {text}"))
    context.note(f"Upgraded {moved} stack(s) to project mode")
    return 0
