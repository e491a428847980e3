"""`config` and what is below it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pulumi_embedded.cli.session import Session, ask_hidden, open_session
from pulumi_embedded.cli.table import table
from pulumi_embedded.errors import ConfigError, EngineError, UsageError
from pulumi_embedded.project import config as values
from pulumi_embedded.project.stack_settings import merge_project_config
from pulumi_embedded.state.sealing import MASK

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context


def _key(context: Context, text: str, *, path: bool = False) -> str:
    return values.parse_key(text, context.project.name, path=path)


def _blind(_ciphertext: str) -> str:
    return MASK


def show(context: Context) -> int:
    """`config`: list every value, the project's defaults included."""
    session = open_session(context)
    config = merge_project_config(context.project, session.name.stack, session.settings.config, None)
    reveal = context.flags.on("show-secrets")
    decrypt: Callable[[str], str] = session.decrypt if reveal else _blind
    keys = sorted(config, key=lambda key: key.split(":", 1))
    if context.flags.on("json"):
        context.print_json({key: _entry(config[key], decrypt, show=reveal) for key in keys})
        return 0
    rows = [["KEY", "VALUE"]]
    rows += [[values.pretty_key(key, context.project.name), values.to_text(config[key], decrypt)] for key in keys]
    context.print(table(rows))
    return 0


def _entry(value: Any, decrypt: Callable[[str], str], *, show: bool) -> dict[str, Any]:
    secret = values.is_secure(value)
    entry: dict[str, Any] = {}
    if show or not secret:
        text = values.to_text(value, decrypt)
        entry["value"] = text
        if values.is_object(value):
            entry["objectValue"] = json.loads(text)
    return {**entry, "secret": secret}


def get(context: Context) -> int:
    """`config get`."""
    session = open_session(context)
    path = context.flags.on("path")
    key = _key(context, context.flags.arguments[0], path=path)
    config = merge_project_config(context.project, session.name.stack, session.settings.config, None)
    found, value = values.get(config, key, path=path)
    if not found:
        raise EngineError(
            f"configuration key '{values.pretty_key(key, context.project.name)}' not found for stack "
            f"'{context.shown_name(session.name)}'"
        )
    if context.flags.on("json"):
        context.print_json(_entry(value, session.decrypt, show=True))
    else:
        context.print(values.to_text(value, session.decrypt))
    return 0


def _read_value(context: Context) -> str:
    if len(context.flags.arguments) == 2:
        return context.flags.arguments[1]
    if not sys.stdin.isatty():
        text = sys.stdin.read()
        return text if context.flags.on("raw") else text.removesuffix("\n").removesuffix("\r")
    if not context.interactive:
        raise UsageError("config value must be specified in non-interactive mode")
    if context.flags.on("secret"):
        return ask_hidden("value: ")
    return context.ask("value:")


def set_(context: Context) -> int:
    """`config set`."""
    flags = context.flags
    if len({"secret", "plaintext", "type"} & flags.given) > 1:
        raise UsageError("only one of --secret, --plaintext and --type may be given")
    session = open_session(context)
    path = flags.on("path")
    key = _key(context, flags.arguments[0], path=path)
    text = _read_value(context)
    if flags.on("secret"):
        value: Any = values.Secure(session.crypter.encrypt(text))
    else:
        if not flags.on("plaintext") and not flags.text("type") and values.looks_like_secret(key, text):
            raise ConfigError(
                f"config value for '{key}' looks like a secret; rerun with --secret to encrypt it, or --plaintext if "
                "you meant to store in plaintext"
            )
        value = values.typed_value(text, flags.text("type")) if flags.text("type") else text
    session.settings.set_config(key, value, path=path, coerced=not flags.text("type"))
    session.settings.save()
    return 0


def _pair(context: Context, text: str, *, path: bool) -> tuple[str, str]:
    quote = text[:1] if text[:1] in ("'", '"') else ""
    key, separator, value = text.removeprefix(quote).partition(f"{quote}=")
    if not separator:
        raise UsageError("config value must be in the form [key]=[value]")
    return _key(context, key, path=path), value


def set_all(context: Context) -> int:
    """`config set-all`."""
    flags = context.flags
    session = open_session(context)
    path = flags.on("path")
    if flags.text("json"):
        if flags.list("plaintext") or flags.list("secret") or path:
            raise UsageError("the --json option cannot be used with the --plaintext, --secret or --path options")
        _set_json(context, session, flags.text("json"))
    for text in flags.list("plaintext"):
        key, value = _pair(context, text, path=path)
        session.settings.set_config(key, value, path=path)
    for text in flags.list("secret"):
        key, value = _pair(context, text, path=path)
        session.settings.set_config(key, values.Secure(session.crypter.encrypt(value)), path=path)
    session.settings.save()
    return 0


def _set_json(context: Context, session: Session, text: str) -> None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"could not parse --json argument: {error}") from None
    if not isinstance(data, dict):
        raise UsageError("could not parse --json argument: it is not an object")
    for raw_key, entry in data.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("value"), str):
            raise UsageError(f'value for --json object key "{raw_key}" is missing or not a text')
        key = _key(context, raw_key)
        value: Any = entry["value"]
        if entry.get("secret"):
            # A structured secret is given as text with its parts in the clear: the whole text becomes the secret.
            value = values.Secure(session.crypter.encrypt(value))
        elif entry.get("objectValue") is not None:
            value = values.parse_value(entry["objectValue"])
        session.settings.set_config(key, value)


def remove(context: Context) -> int:
    """`config rm`."""
    return remove_all(context)


def remove_all(context: Context) -> int:
    """`config rm-all`."""
    session = open_session(context)
    path = context.flags.on("path")
    for text in context.flags.arguments:
        session.settings.remove_config(_key(context, text, path=path), path=path)
    session.settings.save()
    return 0


def refresh(context: Context) -> int:
    """`config refresh`: take the configuration of the last update."""
    from pulumi_embedded.backend.history import read_updates

    session = open_session(context)
    records = read_updates(context.layout, session.name, 1, 1)
    if not records:
        raise EngineError("getting latest configuration: no previous deployment")
    path = session.settings_path
    existed = path.is_file()
    if existed and not context.flags.on("force"):
        backup = path.with_name(path.name + ".bak")
        while backup.exists():
            backup = backup.with_name(backup.name + ".bak")
        backup.write_bytes(path.read_bytes())
        context.print(f"backed up existing configuration file to {backup}")
    settings = session.settings
    settings.replace_config({key: values.parse_value(value) for key, value in records[0].config.items()})
    providers = session.current.deployment.secrets_providers or {}
    salt = str((providers.get("state") or {}).get("salt") or "")
    if salt:
        settings.set_text("encryptionsalt", salt)
    settings.save()
    if existed and not context.flags.on("force"):
        context.print(f"refreshed configuration for stack '{session.name.stack}'")
    return 0


def copy_config(source: Session, target: Session, keys: list[str] | None = None, *, path: bool = False) -> None:
    """Copy configuration values to another stack, secrets encrypted for it."""
    config = source.settings.config
    for key in keys if keys is not None else list(config):
        found, value = values.get(config, key, path=path)
        if not found:
            raise EngineError(f"configuration key '{key}' not found for stack '{source.name.stack}'")
        if values.is_secure(value):
            value = values.encrypt_value(value, target.crypter.encrypt, source.decrypt)
        target.settings.set_config(key, value, path=path, coerced=False)
    target.settings.save()


def copy(context: Context) -> int:
    """`config cp`."""
    source = open_session(context)
    if not context.flags.text("dest"):
        raise UsageError("name the stack to copy to with --dest")
    target = Session(context, context.stack_name(context.flags.text("dest")))
    if target.name == source.name:
        raise UsageError("current stack and destination stack are the same")
    path = context.flags.on("path")
    keys = [_key(context, text, path=path) for text in context.flags.arguments] or None
    copy_config(source, target, keys, path=path)
    return 0
