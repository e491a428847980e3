"""A stack's outputs, its deployment out and in, its history and its tags."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pulumi_embedded.backend.files import read_limited, write_atomic
from pulumi_embedded.backend.history import UpdateRecord, add_backup, read_updates
from pulumi_embedded.backend.layout import StackName
from pulumi_embedded.backend.locks import StackLock
from pulumi_embedded.cli.about import wants_json
from pulumi_embedded.cli.session import Session, check_provider, open_session, provider_block
from pulumi_embedded.cli.stacks import millisecond_time
from pulumi_embedded.cli.table import ago, go_time, table
from pulumi_embedded.errors import EngineError, SecretsError, StateError, UsageError
from pulumi_embedded.project import config as values
from pulumi_embedded.state.deployment import Deployment, open_states, parse_json, seal_states, verify_integrity
from pulumi_embedded.state.sealing import Sealer, mask, reveal

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context


def stack_outputs(session: Session, *, show_secrets: bool) -> dict[str, Any]:
    """Return the stack's outputs for showing: secrets revealed, or masked without ever being decrypted."""
    root = session.current.deployment.root_stack()
    outputs = (root or {}).get("outputs") or {}
    if not show_secrets:
        return {key: mask(value) for key, value in sorted(outputs.items())}
    place = f"{(root or {}).get('urn', '')}.outputs"
    return {key: reveal(session.sealer.open(value, f"{place}.{key}")) for key, value in sorted(outputs.items())}


def shown(value: Any) -> str:
    """Return an output's value as the tables show it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def output_table(outputs: dict[str, Any]) -> str:
    """Return the table of outputs."""
    rows = [["OUTPUT", "VALUE"], *([key, shown(value)] for key, value in outputs.items())]
    return f"Current stack outputs ({len(outputs)}):\n" + table(rows, "    ")


def output(context: Context) -> int:
    """`stack output`."""
    session = open_session(context)
    outputs = stack_outputs(session, show_secrets=context.flags.on("show-secrets"))
    as_json, as_shell = context.flags.on("json"), context.flags.on("shell")
    if as_json and as_shell:
        raise UsageError("only one of --json and --shell may be set")
    if context.flags.arguments:
        name = context.flags.arguments[0]
        if name not in outputs:
            raise EngineError(f"current stack does not have output property '{name}'")
        if as_json:
            context.print_json(outputs[name])
        elif as_shell:
            context.print(f"{name}={shlex.quote(shown(outputs[name]))}")
        else:
            context.print(shown(outputs[name]))
    elif as_json:
        context.print_json(outputs)
    elif as_shell:
        for key, value in outputs.items():
            context.print(f"{key}={shlex.quote(shown(value))}")
    elif outputs:
        context.print(output_table(outputs))
    else:
        context.print("Current stack outputs (0):\n    No output values currently in this stack")
    return 0


def export(context: Context) -> int:
    """`stack export`."""
    session = open_session(context)
    deployment = session.current.deployment
    if context.flags.on("show-secrets"):
        states, pending = session.states
        time = str(deployment.manifest.get("time") or "")
        shown_deployment = seal_states(deployment, states, pending, session.sealer, time, show=True)
        shown_deployment.manifest = deployment.manifest
        deployment = shown_deployment
    if session.current.checkpoint.deployment is None and not session.current.folded:
        envelope: dict[str, Any] = {"version": 3}
    else:
        envelope = deployment.envelope()
    text = json.dumps(envelope, indent=4, ensure_ascii=False)
    path = context.flags.text("file")
    if path:
        write_atomic(context.folder / path, text.encode() + b"\n")
    else:
        context.print(text)
    return 0


def _read_import(context: Context) -> tuple[Deployment, str]:
    path = context.flags.text("file")
    if path:
        try:
            data = read_limited(context.folder / path)
        except FileNotFoundError:
            raise UsageError(f"the file of --file, {path}, does not exist") from None
    else:
        data = sys.stdin.buffer.read()
    envelope = parse_json(data, "the deployment to import")
    if not isinstance(envelope, dict):
        raise StateError("the deployment to import is not a JSON object")
    checkpoint = envelope.get("checkpoint")
    latest = checkpoint.get("latest") if isinstance(checkpoint, dict) else envelope.get("deployment")
    return Deployment.from_json(latest, envelope.get("version"), envelope.get("features")), path or "standard input"


def import_(context: Context) -> int:
    """`stack import`: an exported deployment, or a checkpoint file of the backups."""
    name = context.stack_name()
    deployment, source = _read_import(context)
    _check_import(context, name, deployment, source)
    with StackLock(context.layout, name):
        session = Session(context, name)
        try:
            session.fold()
        except StateError as error:
            # What is imported takes the place of a damaged state, of which a copy is kept aside.
            context.note(f"warning: {error}")
            session.start_anew()
        context.layout.write(name, _seal_import(session, deployment))
        add_backup(context.layout, name)
    context.print("Import complete.")
    return 0


def _check_import(context: Context, name: StackName, deployment: Deployment, source: str) -> None:
    problems = []
    for resource in deployment.resources:
        urn = str(resource.get("urn", ""))
        if f":{name.stack}::" not in urn:
            problems.append(f"resource '{urn}' is not of stack '{name.stack}'")
    try:
        verify_integrity(deployment)
    except StateError as error:
        problems.append(str(error))
    for problem in problems[:10]:
        context.note(f"{'warning' if context.flags.on('force') else 'error'}: {problem}")
    if problems and not context.flags.on("force"):
        raise StateError(
            f"importing {source} was refused because of the errors above; mend it, or pass --force to import it anyway"
        )


def _seal_import(session: Session, deployment: Deployment) -> Deployment:
    """Encrypt what an export showed in the clear; what is sealed already is kept as it is."""
    providers = deployment.secrets_providers or {}
    check_provider(str(providers.get("type", "")))
    salt = str((providers.get("state") or {}).get("salt") or "")
    if salt and not session.settings.text("encryptionsalt"):
        session.settings.set_text("encryptionsalt", salt)
        session.settings.save()
    own = session.crypter
    source = own if salt in ("", own.state) else session.crypter_of(salt)
    states, pending = open_states(deployment, opener := Sealer(source))
    sealer = opener if source is own else Sealer(own)
    sealed = seal_states(deployment, states, pending, sealer, str(deployment.manifest.get("time") or ""))
    sealed.manifest = deployment.manifest or sealed.manifest
    sealed.metadata = deployment.metadata
    sealed.secrets_providers = provider_block(own.state)
    return sealed


def _config_json(session: Session, record: UpdateRecord, *, show: bool) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for key, raw in sorted(record.config.items()):
        value = values.parse_value(raw)
        secret = values.is_secure(value)
        entry: dict[str, Any] = {}
        if not secret or show:
            try:
                text = values.to_text(value, session.decrypt)
            except SecretsError:
                text = "ERROR_UNABLE_TO_DECRYPT"
            entry["value"] = text
            if values.is_object(value) and text != "ERROR_UNABLE_TO_DECRYPT":
                entry["objectValue"] = json.loads(text)
        config[key] = {**entry, "secret": secret}
    return config


def _seconds_time(seconds: int) -> str:
    return millisecond_time(datetime.fromtimestamp(seconds, tz=UTC).isoformat())


def history(context: Context) -> int:
    """`stack history`."""
    session = open_session(context)
    as_json = wants_json(context)
    size = context.flags.number("page-size", 0 if as_json else 10)
    if context.flags.number("page", 1) < 1 or size < 0:
        raise UsageError("--page and --page-size have to be positive")
    records = read_updates(context.layout, session.name, size, context.flags.number("page", 1))
    show = context.flags.on("show-secrets")
    if as_json:
        context.print_json([_record_json(session, record, show=show) for record in records])
        return 0
    if not records:
        context.print("Stack has never been updated")
    for record in records:
        _print_record(context, record)
    return 0


def _record_json(session: Session, record: UpdateRecord, *, show: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "version": record.version,
        "kind": record.kind,
        "startTime": _seconds_time(record.start_time),
        "message": record.message,
        "environment": record.environment,
        "config": _config_json(session, record, show=show),
        "result": record.result,
    }
    if record.result != "in-progress":
        data["endTime"] = _seconds_time(record.end_time)
        if record.resource_changes:
            data["resourceChanges"] = record.resource_changes
    return data


def _print_record(context: Context, record: UpdateRecord) -> None:
    changes = record.resource_changes
    context.print(f"Version: {record.version}")
    context.print(f"UpdateKind: {record.kind}")
    context.print(f"Status: {record.result}")
    context.print(f"Message: {record.message}")
    counts = (
        f"+{changes.get('create', 0)}-{changes.get('delete', 0)}~{changes.get('update', 0)} {changes.get('same', 0)}"
    )
    started = _seconds_time(record.start_time)
    when = go_time(started.replace(".000Z", "Z")) if context.flags.on("full-dates") else ago(started)
    context.print(f"{counts} Updated {when} took {record.end_time - record.start_time}s")
    for key, value in sorted(record.environment.items()):
        context.print(f"    {key}: {value}")
    context.print()


def _all_tags(context: Context, name: StackName) -> dict[str, str]:
    return context.layout.read_tags(name)


def tag_get(context: Context) -> int:
    """`stack tag get`."""
    name = context.stack_name()
    tags, key = _all_tags(context, name), context.flags.arguments[0]
    if key not in tags:
        raise EngineError(f"stack tag '{key}' not found for stack '{context.shown_name(name)}'")
    context.print(tags[key])
    return 0


def tag_set(context: Context) -> int:
    """`stack tag set`."""
    name = context.stack_name()
    key, value = context.flags.arguments
    context.layout.write_tags(name, {**_all_tags(context, name), key: value})
    return 0


def tag_remove(context: Context) -> int:
    """`stack tag rm`."""
    name = context.stack_name()
    tags = _all_tags(context, name)
    tags.pop(context.flags.arguments[0], None)
    context.layout.write_tags(name, tags)
    return 0


def tag_list(context: Context) -> int:
    """`stack tag ls`."""
    tags = _all_tags(context, context.stack_name())
    if wants_json(context):
        context.print_json(dict(sorted(tags.items())))
    else:
        context.print(table([["NAME", "VALUE"], *([key, value] for key, value in sorted(tags.items()))]))
    return 0


def change_provider(context: Context) -> int:
    """`stack change-secrets-provider passphrase`: a new key, from a prompt or a line of standard input."""
    from pulumi_embedded.cli.session import ask_passphrase
    from pulumi_embedded.state.secrets import PassphraseCrypter

    check_provider(context.flags.arguments[0])
    session = open_session(context)
    with StackLock(context.layout, session.name):
        session.fold()
        states, pending = session.states
        old = session.crypter
        prompt = ask_passphrase(context, "Enter your new passphrase to protect config/secrets", twice=True)
        phrase = prompt() if prompt is not None else sys.stdin.readline().strip()
        new = PassphraseCrypter.create(phrase)
        for key, value in session.settings.config.items():
            if values.is_secure(value):
                session.settings.set_config(key, values.encrypt_value(value, new.encrypt, old.decrypt))
        session.settings.set_text("encryptionsalt", new.state)
        deployment = seal_states(
            session.current.deployment,
            states,
            pending,
            Sealer(new),
            str(session.current.deployment.manifest.get("time")),
        )
        deployment.secrets_providers = provider_block(new.state)
        context.layout.write(session.name, deployment)
        session.settings.save()
    context.print("Migrating old configuration and state to new secrets provider")
    return 0
