"""`state move`: resources of one stack become another's, in the two states alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi_embedded.backend.history import add_backup
from pulumi_embedded.backend.layout import StackName
from pulumi_embedded.backend.locks import StackLock
from pulumi_embedded.cli.context import is_truthy
from pulumi_embedded.cli.session import Session
from pulumi_embedded.errors import CancelledError, EngineError, UnsupportedError, UsageError
from pulumi_embedded.state.deployment import Deployment, verify_integrity
from pulumi_embedded.state.moving import Move, plan_move
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import is_urn

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context

_BREAKS = (
    "\nIf you go ahead with moving these dependencies, it will be necessary to create the appropriate inputs and "
    "outputs in the program for the stack the resources are moved to.\n"
)


def move(context: Context) -> int:
    """`state move`."""
    flags = context.flags
    if not flags.text("source") and not flags.text("dest"):
        raise UsageError("at least one of --source or --dest must be provided")
    source, dest = context.stack_name(flags.text("source")), context.stack_name(flags.text("dest"))
    if source == dest:
        raise UsageError(f"--source and --dest are the same stack, '{context.shown_name(source)}'")
    for urn in flags.arguments:
        if not is_urn(urn):
            raise UsageError(f"'{urn}' is not a URN; `pulumi stack --show-urns --stack {source.full}` lists them")
    approved = flags.on("yes") or is_truthy("PULUMI_SKIP_CONFIRMATIONS")
    if not approved and not context.interactive:
        raise UsageError("--yes must be passed in to proceed when running in non-interactive mode")
    with StackLock(context.layout, source), StackLock(context.layout, dest):
        sessions = _open(context, source), _open(context, dest)
        planned = _plan(context, *sessions)
        _show(context, planned, source, dest)
        if not approved and not context.confirm("Do you want to perform this move?"):
            raise CancelledError("Confirmation denied, not proceeding with the state move")
        _save(context, planned, *sessions)
    context.print(f"Successfully moved resources from {source.full} to {dest.full}")
    return 0


def _open(context: Context, name: StackName) -> Session:
    session = Session(context, name)
    session.fold()
    session.check_integrity()
    return session


def _readable(session: Session) -> list[dict[str, Any]]:
    return [state.to_json() for state in session.states[0]]


def _plan(context: Context, source: Session, dest: Session) -> Move:
    if not source.current.deployment.resources:
        raise EngineError("source stack has no resources")
    if not dest.current.deployment.secrets_providers:
        if context.project_name != dest.name.project:
            raise EngineError(
                "destination stack has no secret manager. To move resources either initialize the stack with a secret "
                "manager, or run the pulumi state move command from the destination project directory"
            )
        dest.adopt_provider()
    urns = context.flags.arguments
    to = (dest.name.project, dest.name.stack)
    parents = context.flags.on("include-parents")
    planned = plan_move(_readable(source), _readable(dest), urns, to, include_parents=parents)
    for urn in planned.unmatched:
        context.print(f"warning: Resource {urn} not found in source stack")
    if any(item.get("extensionRef") for item in planned.dest):
        raise UnsupportedError("moving resources of parameterized packages")
    if not planned.moved:
        raise EngineError(
            f"no resources found to move; `pulumi stack --show-urns --stack {source.name.full}` lists the URNs"
        )
    return planned


def _show(context: Context, planned: Move, source: StackName, dest: StackName) -> None:
    context.print(f"Planning to move the following resources from {source.full} to {dest.full}:\n")
    for urn in planned.moved:
        context.print(f"  - {urn}")
    context.print()
    if planned.broken_source:
        context.print(
            f"The following resources remaining in {source.full} have dependencies on resources moved to {dest.full}:\n"
        )
        for line in planned.broken_source:
            context.print(f"  - {line}")
    if planned.broken_dest:
        if planned.broken_source:
            context.print()
        context.print(
            f"The following resources being moved to {dest.full} have dependencies on resources in {source.full}:\n"
        )
        for line in planned.broken_dest:
            context.print(f"  - {line}")
    if planned.broken_source or planned.broken_dest:
        context.print(_BREAKS)


def _sealed(session: Session, resources: list[dict[str, Any]]) -> Deployment:
    """Return the deployment to write; what is sealed already keeps its ciphertext."""
    deployment = session.sealed([ResourceState.from_json(item) for item in resources], session.states[1])
    try:
        verify_integrity(deployment)
    except EngineError as error:
        raise EngineError(f"nothing was moved, as stack '{session.name.stack}' would not be whole: {error}") from None
    return deployment


def _save(context: Context, planned: Move, source: Session, dest: Session) -> None:
    """Write the destination first: should the second write fail, everything is still in a state."""
    new_source, new_dest = _sealed(source, planned.source), _sealed(dest, planned.dest)
    before = context.layout.read(dest.name).deployment
    context.layout.write(dest.name, new_dest)
    try:
        context.layout.write(source.name, new_source)
    except EngineError as error:
        context.layout.write(dest.name, before)
        raise EngineError(f"failed to save source snapshot: {error}. None of the resources have been moved") from None
    for name in (dest.name, source.name):
        add_backup(context.layout, name)
