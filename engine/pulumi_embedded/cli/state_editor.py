"""`state edit`: a person changes the state's JSON text in an editor, sees what it became, and accepts it or not."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pulumi_embedded.backend.files import MAX_STATE_BYTES, explain, read_limited
from pulumi_embedded.backend.history import add_backup
from pulumi_embedded.backend.locks import StackLock
from pulumi_embedded.cli.session import Session, open_session
from pulumi_embedded.errors import CancelledError, EngineError, UsageError
from pulumi_embedded.state.deployment import Deployment, open_states, parse_json, verify_integrity

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context

_VERSION = 4
"""What is edited has no version beside it; the newest that is read accepts all that the older ones hold."""


def edit(context: Context) -> int:
    """`state edit`."""
    if not context.interactive:
        raise UsageError("pulumi state edit must be run in interactive mode")
    session = open_session(context)
    original = _text(session.current.deployment)
    with _temporary(original) as path:
        while True:
            _open_editor(path)
            context.print(f"Previewing state edit ({session.name.full})\n")
            changed: Deployment | None = None
            try:
                changed = _read(session, path)
            except EngineError as error:
                context.note(f"error: provided state is not valid: {error}")
            if changed is not None and _same(changed, session.current.deployment):
                context.note("warning: provided state was not changed")
                return 0
            if changed is not None:
                context.print(f"New state:\n{_text(changed)}")
            answer = _ask(context, valid=changed is not None)
            if answer == "accept" and changed is not None:
                return _save(session, changed)
            if answer == "reset":
                path.write_text(original, encoding="utf-8")
            elif answer != "edit":
                raise CancelledError("confirmation cancelled, not proceeding with the state edit")


def _text(deployment: Deployment) -> str:
    return json.dumps(deployment.to_json(), indent=4, ensure_ascii=False) + "\n"


@contextmanager
def _temporary(text: str) -> Iterator[Path]:
    """Yield a file of the owner's alone with `text` in it; an editor may replace it, its folder goes in the end."""
    with tempfile.TemporaryDirectory(prefix="pulumi-state-edit-") as folder:
        path = Path(folder) / "state.json"
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        yield path


def _open_editor(path: Path) -> None:
    editor = os.environ.get("EDITOR", "")
    if not editor.strip():
        raise EngineError("no EDITOR environment variable set")
    try:
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)
    except (OSError, ValueError) as error:
        reason = explain(error) if isinstance(error, OSError) else str(error)
        raise EngineError(f"the editor '{editor}' (EDITOR) cannot be started: {reason}") from None
    if done.returncode:
        raise EngineError(f"the editor '{editor}' ended with exit code {done.returncode}; the state is unchanged")


def _read(session: Session, path: Path) -> Deployment:
    try:
        data = read_limited(path, MAX_STATE_BYTES)
    except FileNotFoundError:
        raise EngineError("the editor removed the file") from None
    edited = Deployment.from_json(parse_json(data, "the text"), _VERSION)
    base = session.current.deployment
    if edited.secrets_providers != base.secrets_providers:
        raise EngineError("'secrets_providers' cannot be edited; see `pulumi stack change-secrets-provider`")
    states, pending = open_states(edited, session.sealer)
    changed = session.sealed(states, pending)
    changed.metadata = edited.metadata
    verify_integrity(changed)
    return changed


def _same(one: Deployment, other: Deployment) -> bool:
    return one.resources == other.resources and one.pending_operations == other.pending_operations


def _ask(context: Context, *, valid: bool) -> str:
    if valid:
        return context.ask("Do you want to perform this edit? [accept/edit/reset/cancel]").lower()
    return context.ask("Received invalid state. What would you like to do? [edit/reset/cancel]").lower()


def _save(session: Session, changed: Deployment) -> int:
    before = session.current.deployment
    with StackLock(session.layout, session.name):
        session.fold()
        if not _same(before, session.current.deployment):
            raise EngineError(
                f"stack '{session.name.stack}' was changed while it was being edited; nothing was written"
            )
        session.layout.write(session.name, changed)
        add_backup(session.layout, session.name)
    return 0
