"""Making, choosing, listing, renaming and removing stacks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pulumi_embedded.backend.layout import StackName, format_time, parse_stack_name
from pulumi_embedded.backend.locks import StackLock
from pulumi_embedded.cli.about import wants_json
from pulumi_embedded.cli.session import Session, check_provider, provider_block
from pulumi_embedded.cli.table import ago, table
from pulumi_embedded.errors import (
    EngineError,
    StackAlreadyExistsError,
    StackNotFoundError,
    StateError,
    UsageError,
)
from pulumi_embedded.state.deployment import Deployment, new_manifest
from pulumi_embedded.urn import ROOT_STACK_TYPE

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context


def create_stack(context: Context, name: StackName) -> Session:
    """Write a new stack's first checkpoint and its salt.

    Raises:
        StackAlreadyExistsError: it exists.
        SecretsError: there is no passphrase.
    """
    check_provider(context.flags.text("secrets-provider"))
    _check_project(context, name)
    with StackLock(context.layout, name):
        if context.layout.exists(name):
            raise StackAlreadyExistsError(name.full)
        session = Session(context, name)
        deployment = Deployment(manifest=new_manifest(format_time(context.now_ns())))
        context.layout.write(name, None)  # so that the session has a (new) state to look at
        try:
            crypter = session.crypter
            crypter.unlock()
        except EngineError:
            context.layout.remove(name, keep_backups=False)
            raise
        deployment.secrets_providers = provider_block(crypter.state)
        context.layout.write(name, deployment)
    return Session(context, name)


def _check_project(context: Context, name: StackName) -> None:
    project = context.project_name
    if project is not None and project != name.project:
        raise UsageError(
            f'provided project name "{name.project}" doesn\'t match Pulumi.yaml\'s project name "{project}"'
        )


def create(context: Context) -> int:
    """`stack init`."""
    arguments = context.flags.arguments
    given = context.flags.text("stack")
    if given and arguments:
        raise UsageError("only one of --stack or argument stack name may be specified, not both")
    text = given or (arguments[0] if arguments else "")
    if not text and context.interactive:
        text = context.ask("Please enter your desired stack name:")
    if not text:
        raise UsageError("missing stack name; name it as in `stack init <name>`")
    name = parse_stack_name(text, context.project_name)
    session = create_stack(context, name)
    source = context.flags.text("copy-config-from")
    if source:
        from pulumi_embedded.cli.configure import copy_config

        copy_config(Session(context, context.stack_name(source)), session)
    context.note(f"Created stack '{context.shown_name(name)}'")
    if not context.flags.on("no-select") and context.project_or_none is not None:
        context.select(name)
    return 0


def select(context: Context) -> int:
    """`stack select`."""
    arguments = context.flags.arguments
    if context.flags.text("stack") and arguments:
        raise UsageError("only one of --stack or argument stack name may be specified, not both")
    text = context.flags.text("stack") or (arguments[0] if arguments else "")
    if not text:
        text = _choose(context)
    name = parse_stack_name(text, context.project_name)
    if not context.layout.exists(name):
        if not context.flags.on("create"):
            raise StackNotFoundError(text)
        create_stack(context, name)
        context.note(f"Created stack '{context.shown_name(name)}'")
    context.select(name)
    return 0


def _choose(context: Context) -> str:
    names = context.layout.stacks(context.project.name)
    if not context.interactive:
        raise UsageError("no stack was named, and nobody can be asked: name it as in `stack select <stack>`")
    if not names:
        raise EngineError("this project has no stack yet; make one with `stack init <name>`")
    for number, name in enumerate(names, 1):
        context.print(f"  {number}  {name.stack}")
    answer = context.ask("Please choose a stack (number or name):")
    return names[int(answer) - 1].stack if answer.isdigit() and 0 < int(answer) <= len(names) else answer


def unselect(context: Context) -> int:
    """`stack unselect`."""
    if context.selected() is not None:
        context.select(None)
        context.print("Stack was unselected")
    return 0


def list_stacks(context: Context) -> int:
    """`stack ls`."""
    project = context.flags.text("project") or None
    if not context.flags.on("all") and project is None:
        project = context.project.name
    if context.flags.text("organization") not in ("", "organization"):
        project = "\0none"
    tag, has_value, value = context.flags.text("tag").partition("=")
    current = context.selected()
    rows: list[tuple[StackName, str, int | None]] = []
    for name in context.layout.stacks(None if context.flags.on("all") and not project else project):
        if context.flags.text("tag"):
            tags = context.layout.read_tags(name)
            if tag not in tags or (has_value and tags[tag] != value):
                continue
        try:
            deployment = Session(context, name).current.deployment
        except (StackNotFoundError, StateError) as error:
            if not isinstance(error, StackNotFoundError):
                context.note(f"warning: {error}")
                rows.append((name, "", None))
            continue
        rows.append((name, str(deployment.manifest.get("time") or ""), len(deployment.resources)))
    if wants_json(context):
        context.print_json([_row_json(context, row, current) for row in rows])
        return 0
    lines = [["NAME", "LAST UPDATE", "RESOURCE COUNT"]]
    for name, updated, count in rows:
        lines.append(
            [
                context.shown_name(name) + ("*" if name == current else ""),
                ago(updated) if updated else "n/a",
                "n/a" if count is None else str(count),
            ]
        )
    context.print(table(lines))
    return 0


def _row_json(context: Context, row: tuple[StackName, str, int | None], current: StackName | None) -> dict[str, object]:
    name, updated, count = row
    data: dict[str, object] = {"name": context.shown_name(name), "current": name == current}
    if updated:
        data["lastUpdate"] = millisecond_time(updated)
    if count is not None:
        data["resourceCount"] = count
    return data


def millisecond_time(text: str) -> str:
    """Return an RFC 3339 time with milliseconds in UTC, the form that the SDK parses."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def remove(context: Context) -> int:
    """`stack rm`."""
    arguments = context.flags.arguments
    if context.flags.text("stack") and arguments:
        raise UsageError("only one of --stack or argument stack name may be specified, not both")
    name = context.stack_name(arguments[0] if arguments else "")
    shown = context.shown_name(name)
    if not context.flags.on("yes") and not _skip_confirmations():
        if not context.interactive:
            raise UsageError("non-interactive mode requires --yes flag")
        context.print(f"This will permanently remove the '{shown}' stack!")
        if not context.confirm(f"Please confirm that this is what you'd like to do by typing `{shown}`:", wanted=shown):
            from pulumi_embedded.errors import CancelledError

            raise CancelledError("confirmation declined")
    with StackLock(context.layout, name):
        session = Session(context, name)
        resources = [item for item in session.current.deployment.resources if item.get("type") != ROOT_STACK_TYPE]
        if resources and not context.flags.on("force"):
            raise EngineError(
                f"'{shown}' still has resources; removal rejected. Possible actions:\n"
                f"- Make sure that '{shown}' is the stack that you want to destroy\n"
                "- Run `pulumi destroy` to delete the resources, then run `pulumi stack rm`\n"
                "- Run `pulumi stack rm --force` to override this error"
            )
        remove_stack(session)
    context.print(f"Stack '{shown}' has been removed!")
    return 0


def remove_stack(session: Session) -> None:
    """Remove a stack's files, its settings file (unless `--preserve-config`) and its selection."""
    context, name = session.context, session.name
    context.layout.remove(name, keep_backups=not context.flags.on("remove-backups"))
    if context.project_name == name.project:
        if not context.flags.on("preserve-config"):
            session.settings_path.unlink(missing_ok=True)
        if context.selected() == name:
            context.select(None)


def _skip_confirmations() -> bool:
    from pulumi_embedded.cli.context import is_truthy

    return is_truthy("PULUMI_SKIP_CONFIRMATIONS")


def rename(context: Context) -> int:
    """`stack rename`."""
    from pulumi_embedded.backend.history import rename_history
    from pulumi_embedded.state.editing import rename_stack

    old = context.stack_name()
    new = parse_stack_name(context.flags.arguments[0], old.project)
    with StackLock(context.layout, old):
        if context.layout.exists(new):
            raise StackAlreadyExistsError(new.full)
        session = Session(context, old)
        session.fold()
        base = session.current.deployment
        before, after = (old.project, old.stack), (new.project, new.stack)
        operations = [
            {**operation, "resource": rename_stack([operation["resource"]], before, after)[0]}
            for operation in base.pending_operations
        ]
        tags = context.layout.read_tags(old)
        context.layout.write(new, session.replace_raw(rename_stack(base.resources, before, after), operations))
        context.layout.write_tags(new, tags)
        rename_history(context.layout, old, new)
        if context.project_name == old.project and new.project == old.project and session.settings_path.is_file():
            session.settings_path.replace(context.project.stack_settings_path(new.stack))
        selected = context.selected() == old
        context.layout.write_tags(old, {})
        context.layout.remove(old, keep_backups=True)
    if selected:
        context.select(new)
    context.print(f"Renamed {context.shown_name(old)} to {context.shown_name(new)}")
    return 0
