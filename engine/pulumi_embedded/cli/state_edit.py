"""`state delete`, `rename`, `protect`, `unprotect`, `taint`, `untaint`, `repair` and `get`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pulumi_embedded.backend.history import add_backup
from pulumi_embedded.backend.locks import StackLock
from pulumi_embedded.cli.context import is_truthy
from pulumi_embedded.cli.session import Session, open_session
from pulumi_embedded.errors import CancelledError, StateError, UsageError
from pulumi_embedded.state import editing
from pulumi_embedded.state.deployment import open_state, seal_state, verify_integrity
from pulumi_embedded.state.sealing import mask
from pulumi_embedded.urn import is_urn

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context

Edit = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def _urns(context: Context, *, all_flag: bool = True) -> list[str] | None:
    urns = context.flags.arguments
    if all_flag and context.flags.on("all"):
        if urns:
            raise UsageError("cannot specify a resource URN together with --all")
        return None
    if not urns:
        raise UsageError("name at least one resource by its URN; `pulumi stack --show-urns` lists them")
    for urn in urns:
        if not is_urn(urn):
            raise UsageError(f"'{urn}' is not a URN; `pulumi stack --show-urns` lists them")
    return list(urns)


def _apply(context: Context, edit: Edit, done: str, *, check: bool = True) -> int:
    """Change the resources under the stack's lock, an interrupted update's journal folded first."""
    name = context.stack_name()
    if not context.flags.on("yes") and not is_truthy("PULUMI_SKIP_CONFIRMATIONS"):
        if not context.interactive:
            raise UsageError("--yes must be passed in to proceed when running in non-interactive mode")
        if not context.confirm("This command will edit your stack's state directly. Confirm?"):
            raise CancelledError("confirmation declined")
    with StackLock(context.layout, name):
        session = Session(context, name)
        session.fold()
        base = session.current.deployment
        changed = session.replace_raw(edit(base.resources), base.pending_operations)
        if check:
            verify_integrity(changed)
        context.layout.write(name, changed)
        add_backup(context.layout, name)
    context.print(done)
    return 0


def remove(context: Context) -> int:
    """`state delete`."""
    flags = context.flags
    urns = _urns(context)
    if urns is None:

        def everything(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
            protected = [item for item in resources if item.get("protect")]
            if protected and not flags.on("force"):
                editing.delete(resources, [str(protected[0]["urn"])], force=False, with_dependents=True)
            return []

        return _apply(context, everything, "Resources deleted")
    done = "Resource deleted" if len(urns) == 1 else f"{len(urns)} resources deleted"
    return _apply(
        context,
        lambda resources: editing.delete(
            resources, urns, force=flags.on("force"), with_dependents=flags.on("target-dependents")
        ),
        done,
    )


def rename(context: Context) -> int:
    """`state rename`."""
    urn, name = context.flags.arguments
    if not is_urn(urn):
        raise UsageError("The provided input URN is not valid")
    if not name or "::" in name:
        raise UsageError(f"'{name}' cannot be a resource's name")
    return _apply(context, lambda resources: editing.rename(resources, urn, name), "Resource renamed")


def _flag(context: Context, key: str, value: bool, done: str) -> int:
    urns = _urns(context)
    return _apply(context, lambda resources: editing.set_flag(resources, urns, key, value), done)


def protect(context: Context) -> int:
    """`state protect`."""
    return _flag(
        context, "protect", True, "Resource protected" if context.flags.arguments else "All resources protected"
    )


def unprotect(context: Context) -> int:
    """`state unprotect`."""
    done = "Resource successfully unprotected" if context.flags.arguments else "All resources successfully unprotected"
    return _flag(context, "protect", False, done)


def taint(context: Context) -> int:
    """`state taint`."""
    return _flag(context, "taint", True, "Resource tainted; the next update replaces it")


def untaint(context: Context) -> int:
    """`state untaint`."""
    return _flag(context, "taint", False, "Resource untainted")


def repair(context: Context) -> int:
    """`state repair`."""
    session = open_session(context)
    try:
        verify_integrity(session.current.deployment)
    except StateError as error:
        context.print(f"The snapshot is not valid: {error}")
    else:
        context.print("The snapshot is already valid; skipping repair")
        return 0
    _, notes = editing.repair(session.current.deployment.resources)
    for note in notes:
        context.print(f"  {note}")
    return _apply(context, lambda resources: editing.repair(resources)[0], "State repaired successfully")


def get(context: Context) -> int:
    """`state get`."""
    session = open_session(context)
    resource = editing.find(session.current.deployment.resources, context.flags.arguments[0])
    if context.flags.on("show-secrets"):
        context.print_json(seal_state(open_state(resource, session.sealer), session.sealer, show=True))
    else:
        context.print_json(mask(resource))
    return 0
