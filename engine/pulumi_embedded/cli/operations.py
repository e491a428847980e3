"""`preview`, `up`, `refresh`, `destroy` and `import`: from flags to an update."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pulumi_embedded.backend.files import read_limited
from pulumi_embedded.backend.locks import StackLock
from pulumi_embedded.cli.context import is_truthy
from pulumi_embedded.cli.session import Session, open_session
from pulumi_embedded.cli.update import Plan, Update
from pulumi_embedded.deploy.request import (
    DEFAULT_PARALLEL,
    ImportSpec,
    PolicyPackRef,
    UpdateKind,
    UpdateOptions,
)
from pulumi_embedded.errors import (
    EXIT_CANCELLED,
    EXIT_EXPECT_NO_CHANGES,
    CancelledError,
    EngineError,
    UnconfirmedError,
    UnsupportedError,
    UsageError,
)
from pulumi_embedded.project import config as values
from pulumi_embedded.state.deployment import parse_json
from pulumi_embedded.urn import is_urn

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context
    from pulumi_embedded.deploy.request import UpdateResult

_UNBOUNDED = 2**31 - 1


def preview(context: Context) -> int:
    """`preview`."""
    return _run(context, "preview", _options(context))


def up(context: Context) -> int:
    """`up`."""
    if context.flags.arguments:
        raise UnsupportedError("deploying from a template or URL")
    return _run(context, "up", _options(context))


def refresh(context: Context) -> int:
    """`refresh`."""
    options = _options(context)
    options.clear_pending_creates = context.flags.on("clear-pending-creates")
    if options.clear_pending_creates and context.flags.on("skip-pending-creates"):
        raise UsageError("cannot set both --skip-pending-creates and --clear-pending-creates")
    given = context.flags.list("import-pending-creates")
    if len(given) % 2:
        raise UsageError(
            "each URN must be followed by an ID: found an odd number of entries; say "
            "--import-pending-creates 'urn:pulumi:...' --import-pending-creates i-123"
        )
    options.import_pending_creates = dict(zip(given[::2], given[1::2], strict=True))
    return _run(context, "refresh", options)


def destroy(context: Context) -> int:
    """`destroy`."""
    options = _options(context)
    if options.targets and context.flags.on("exclude-protected"):
        raise UsageError("--target and --exclude-protected cannot be used together")
    if context.flags.on("ignore-protect") and context.flags.on("exclude-protected"):
        raise UsageError("--exclude-protected and --ignore-protect cannot be used together")
    return _run(context, "destroy", options)


def import_(context: Context) -> int:
    """`import`."""
    if context.flags.on("generate-code"):
        raise UnsupportedError(
            "generating code for imported resources", "pass --generate-code=false, or install the Pulumi CLI"
        )
    options = _options(context)
    options.imports = _import_specs(context)
    return _run(context, "import", options)


def _options(context: Context) -> UpdateOptions:
    flags = context.flags
    parallel = flags.number("parallel", DEFAULT_PARALLEL)
    refresh = flags.text("refresh").lower()
    if refresh not in ("", "true", "false"):
        raise UsageError(f"--refresh has to be true or false, not '{refresh}'")
    targets = flags.list("target") + flags.list("target-replace")
    for urn in (*targets, *flags.list("exclude"), *flags.list("replace")):
        if not is_urn(urn) and "*" not in urn:
            raise UsageError(f"'{urn}' is not a URN; `pulumi stack --show-urns` lists them")
    if targets and flags.list("exclude"):
        raise UsageError("--target and --exclude cannot be used together")
    always = bool(context.project_or_none and context.project.always_refresh)
    return UpdateOptions(
        parallel=parallel if parallel > 0 else _UNBOUNDED,
        refresh=refresh == "true" or (always and refresh != "false"),
        run_program=flags.on("run-program"),
        continue_on_error=flags.on("continue-on-error") or is_truthy("PULUMI_CONTINUE_ON_ERROR"),
        ignore_protect=flags.on("ignore-protect"),
        targets=targets,
        target_dependents=flags.on("target-dependents"),
        excludes=flags.list("exclude"),
        exclude_dependents=flags.on("exclude-dependents"),
        replace=flags.list("replace") + flags.list("target-replace"),
        policy_packs=policy_packs(context),
        client=flags.text("client"),
        log_to_stderr=flags.on("logtostderr"),
        hears_debug=flags.on("debug") or flags.on("json") or bool(flags.text("event-log")),
    )


def policy_packs(context: Context) -> list[PolicyPackRef]:
    """Return the packs that `--policy-pack` names, each with its configuration.

    Raises:
        UsageError: a folder or file does not exist, or there are more configurations than packs.
    """
    packs, configs = context.flags.list("policy-pack"), context.flags.list("policy-pack-config")
    if configs and len(configs) != len(packs):
        raise UsageError("the number of --policy-pack-config flags must match the number of --policy-pack flags")
    found = []
    for index, pack in enumerate(packs):
        path = context.folder / pack
        if not path.is_dir():
            raise UsageError(f"the policy pack '{pack}' is not a folder")
        config = context.folder / configs[index] if configs else None
        if config is not None and not config.is_file():
            raise UsageError(f"the policy pack configuration '{configs[index]}' does not exist")
        found.append(PolicyPackRef(path.resolve(), config.resolve() if config else None))
    return found


def _import_specs(context: Context) -> list[ImportSpec]:
    flags = context.flags
    protect = flags.on("protect")
    table: dict[str, str] = {}
    if flags.text("file"):
        if flags.arguments:
            raise UsageError("an inline resource may not be specified in conjunction with an import file")
        return _read_import_file(context, flags.text("file"), protect=protect)
    if len(flags.arguments) != 3:
        raise UsageError("name what to import as <type> <name> <id>, or in a file with --file")
    kind, name, resource_id = flags.arguments
    for flag in ("parent", "provider"):
        text = flags.text(flag)
        if text:
            label, _, urn = text.partition("=")
            if not label or not is_urn(urn):
                raise UsageError(f"--{flag} has the form name=urn, not '{text}'")
            table[flag] = urn
    return [
        ImportSpec(
            type=kind,
            name=name,
            id=resource_id,
            parent=table.get("parent", ""),
            provider=table.get("provider", ""),
            properties=tuple(flags.list("properties")),
            protect=protect,
        )
    ]


def _read_import_file(context: Context, name: str, *, protect: bool) -> list[ImportSpec]:
    try:
        data = parse_json(read_limited(context.folder / name), f"the import file {name}")
    except FileNotFoundError:
        raise UsageError(f"the import file '{name}' does not exist") from None
    if not isinstance(data, dict) or not isinstance(data.get("resources"), list):
        raise UsageError(f"the import file '{name}' has no list 'resources'")
    table = data.get("nameTable") or {}
    return [_import_spec(name, index, entry, table, protect=protect) for index, entry in enumerate(data["resources"])]


def _import_spec(file: str, index: int, entry: Any, table: dict[str, Any], *, protect: bool) -> ImportSpec:
    where = f"the import file '{file}', resource {index + 1}"
    if not isinstance(entry, dict) or not entry.get("type") or not (entry.get("name") or entry.get("logicalName")):
        raise UsageError(f"{where}: it needs a type and a name")
    component = bool(entry.get("component"))
    if not component and not entry.get("id"):
        raise UsageError(f"{where}: it has no id")
    urns = {}
    for key in ("parent", "provider"):
        label = entry.get(key)
        if label:
            urn = label if is_urn(str(label)) else table.get(label)
            if not isinstance(urn, str) or not is_urn(urn):
                raise UsageError(f"{where}: its {key} '{label}' is not in the file's nameTable")
            urns[key] = urn
    return ImportSpec(
        type=str(entry["type"]),
        name=str(entry.get("logicalName") or entry["name"]),
        id=str(entry.get("id") or ""),
        parent=urns.get("parent", ""),
        provider=urns.get("provider", ""),
        version=str(entry.get("version") or ""),
        plugin_download_url=str(entry.get("pluginDownloadUrl") or ""),
        properties=tuple(entry.get("properties") or ()),
        component=component,
        remote=bool(entry.get("remote")),
        protect=protect,
    )


def _save_config_flags(session: Session) -> None:
    """`--config key=value`: kept in the stack's settings file, as with the CLI."""
    context = session.context
    path = context.flags.on("config-path")
    for pair in context.flags.list("config"):
        key, has_value, value = pair.partition("=")
        if not key:
            raise UsageError(f"--config has the form key=value, not '{pair}'")
        full = values.parse_key(key, context.project.name, path=path)
        session.settings.set_config(full, value if has_value else "", path=path)
    if context.flags.list("config"):
        session.settings.save()


def _run(context: Context, kind: UpdateKind, options: UpdateOptions) -> int:
    flags = context.flags
    preview_only = kind == "preview" or flags.on("preview-only")
    approved = flags.on("yes") or flags.on("skip-preview") or is_truthy("PULUMI_SKIP_CONFIRMATIONS")
    if not preview_only and not approved and not context.interactive:
        raise UnconfirmedError
    session = open_session(context)
    if context.project.name != session.name.project:
        raise UsageError(
            f"provided project name \"{session.name.project}\" doesn't match Pulumi.yaml's project name "
            f'"{context.project.name}"'
        )
    if context.project.runtime not in ("python", ""):
        raise UnsupportedError(f"programs of the runtime '{context.project.runtime}'")
    plan = Plan(kind=kind, options=options, session=session)
    try:
        plan.launch_program()
        return _carry_out(plan, preview_only=preview_only, approved=approved)
    finally:
        plan.close()


def _carry_out(plan: Plan, *, preview_only: bool, approved: bool) -> int:
    kind, session = plan.kind, plan.session
    context = session.context
    flags = context.flags
    _save_config_flags(session)
    protected = 0
    if kind == "destroy" and flags.on("exclude-protected"):
        protected, anything_left = _exclude_protected(session, plan.options)
        if not anything_left:
            return 0
    if preview_only:
        result = Update(plan, preview=True).run()
        if flags.text("import-file"):
            _write_import_file(context, flags.text("import-file"), plan)
        return _exit_code(context, result, preview=True)
    with StackLock(context.layout, session.name):
        _tell_folded(context, session)
        if not flags.on("skip-preview"):
            result = Update(plan, preview=True).run()
            code = _exit_code(context, result, preview=True)
            if code:
                return code
            plan.launch_program()  # it gets ready while the person reads
            if not approved and not _confirmed(context, kind, plan):
                raise CancelledError(f"confirmation declined, not proceeding with the {_noun(kind)}")
        result = Update(plan, preview=False).run()
        code = _exit_code(context, result, preview=False)
        if kind == "destroy" and code == 0:
            _after_destroy(session, result, protected)
    return code


def _exclude_protected(session: Session, options: UpdateOptions) -> tuple[int, bool]:
    """Exclude what is protected, with all it needs; return how much that is, and whether anything else is left."""
    from pulumi_embedded.deploy.graph import DependencyGraph

    states = session.states[0]
    graph = DependencyGraph(states)
    kept: set[str] = set()
    for state in states:
        if state.protect:
            kept.update(needed.urn for needed in (state, *graph.transitive_dependencies_of(state)))
    options.excludes += sorted(kept)
    if kept and all(state.urn in kept for state in states):
        session.context.print(
            f"There were no unprotected resources to destroy. There are still {len(kept)} protected resources "
            "associated with this stack."
        )
        return len(kept), False
    return len(kept), True


def _tell_folded(context: Context, session: Session) -> None:
    folded = session.fold()
    if folded:
        context.note(
            f"note: an earlier update was interrupted; its journal ({folded} entries) was folded into the state first"
        )


def _noun(kind: str) -> str:
    return "update" if kind in ("up", "preview") else kind


def _confirmed(context: Context, kind: str, plan: Plan) -> bool:
    extra = ""
    if kind == "refresh":
        extra = "\nNo resources will be modified as part of this refresh; just your stack's state will be.\n"
    while True:
        answer = context.ask(f"Do you want to perform this {_noun(kind)}?{extra} [yes/no/details]").lower()
        if answer in ("details", "d"):
            context.print("\n".join(plan.details))
            continue
        return answer in ("yes", "y")


def _exit_code(context: Context, result: UpdateResult, *, preview: bool) -> int:
    if result.cancelled:
        context.note("error: the update was cancelled")
        return EXIT_CANCELLED
    if not result.ok:
        return 1
    if context.flags.on("expect-no-changes") and result.has_changes:
        if preview and "preview-only" not in context.flags.given and "skip-preview" in context.flags.values:
            return 0  # the update itself is what must not change anything
        context.note(
            "error: no changes were expected for preview but changes were proposed"
            if preview
            else "error: no changes were expected but changes occurred"
        )
        return EXIT_EXPECT_NO_CHANGES
    return 0


def _after_destroy(session: Session, result: UpdateResult, protected: int) -> None:
    context = session.context
    if protected:
        if not context.flags.on("json"):
            context.print(
                f"All unprotected resources were destroyed. There are still {protected} protected resources associated "
                "with this stack."
            )
        return
    left = [state for state in result.resources if state.type != "pulumi:pulumi:Stack"]
    shown = context.shown_name(session.name)
    if context.flags.on("remove"):
        if left:
            raise EngineError(f"the stack '{shown}' was not removed: {len(left)} resources are left in it")
        from pulumi_embedded.cli.stacks import remove_stack

        remove_stack(session)
        context.print(f"The resources in the stack have been deleted, and the stack '{shown}' removed")
    elif not left and not context.flags.on("json"):
        context.print(
            "The resources in the stack have been deleted, but the history and configuration associated with the stack "
            f"are still maintained.\nIf you want to remove the stack completely, run `pulumi stack rm {shown}`."
        )


def _write_import_file(context: Context, name: str, plan: Plan) -> None:
    resources: list[dict[str, Any]] = []
    table: dict[str, str] = {}
    for metadata in plan.creates:
        new = metadata.get("new") or {}
        entry: dict[str, Any] = {"type": metadata["type"], "name": str(metadata["urn"]).rpartition("::")[2]}
        if new.get("custom"):
            entry["id"] = "<PLACEHOLDER>"
        else:
            entry["component"] = True
        parent = str(new.get("parent") or "")
        if parent and "pulumi:pulumi:Stack" not in parent:
            label = parent.rpartition("::")[2]
            table[label] = parent
            entry["parent"] = label
        resources.append(entry)
    text = json.dumps({"nameTable": table, "resources": resources}, indent=4)
    (context.folder / name).write_text(text + "\n", encoding="utf-8")
