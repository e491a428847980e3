"""What the state of a stack is after an interrupted update: the last checkpoint with the journal folded into it.

Folding needs no passphrase: resources go through it with their secrets sealed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pulumi_embedded.backend.history import add_backup
from pulumi_embedded.backend.journal import Journal, JournalError, mark_finished, read_journal, set_aside
from pulumi_embedded.backend.layout import Checkpoint, Layout, StackName, format_time
from pulumi_embedded.errors import StateError
from pulumi_embedded.state.deployment import Deployment, new_manifest
from pulumi_embedded.state.resource import ResourceState


@dataclass(frozen=True)
class CurrentState:
    """A stack's state now.

    `digest` is that of the checkpoint file; `folded` counts the journal entries that `deployment` holds beyond it.
    """

    checkpoint: Checkpoint
    deployment: Deployment
    folded: int
    journal_left: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the checkpoint file."""
        return self.checkpoint.digest


_ATTEMPTS = 3


def read_current(layout: Layout, name: StackName) -> CurrentState:
    """Return the stack's state, an interrupted (or a running) update's journal folded in memory; nothing is written.

    Raises:
        StackNotFoundError: no such stack.
        StateError: the checkpoint is damaged.
        JournalError: the journal is damaged, or belongs to another state than the checkpoint.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _read_once(layout, name)
        except JournalError:
            # One update may have ended, and the next begun, between the looks at the two files.
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _read_once(layout: Layout, name: StackName) -> CurrentState:
    checkpoint = layout.read(name)
    base = checkpoint.deployment or Deployment()
    path = layout.journal_path(name)
    journal = read_journal(path)
    if journal is None:
        return CurrentState(checkpoint, base, 0, journal_left=path.exists())
    if checkpoint.digest in journal.finished_digests:
        return CurrentState(checkpoint, base, 0, journal_left=True)
    if checkpoint.digest != journal.base_digest:
        if not journal.entries:
            return CurrentState(checkpoint, base, 0, journal_left=True)
        raise JournalError(
            "foreign",
            f"the journal of an interrupted update, {path}, belongs to another state than the present one of stack "
            f"'{name.stack}', which was changed since",
        )
    return CurrentState(checkpoint, _fold(base, journal, layout), len(journal.entries), journal_left=True)


def _fold(base: Deployment, journal: Journal, layout: Layout) -> Deployment:
    from pulumi_embedded.deploy.fold import fold

    before = [ResourceState.from_json(resource) for resource in base.resources]
    operations = [
        (str(operation.get("type", "")), ResourceState.from_json(operation.get("resource") or {}))
        for operation in base.pending_operations
    ]
    try:
        resources, pending = fold(before, operations, journal.entries)
    except (ValueError, KeyError, IndexError, TypeError):
        raise StateError(
            "the journal of an interrupted update was written by another version of this engine; run `pulumi cancel` "
            "with that version"
        ) from None
    return Deployment(
        manifest=new_manifest(format_time(layout.now_ns())),
        resources=[state.to_json() for state in resources],
        pending_operations=[{"resource": state.to_json(), "type": kind} for kind, state in pending],
        secrets_providers=base.secrets_providers,
        metadata=base.metadata,
        extra=base.extra,
    )


def fold_to_disk(layout: Layout, name: StackName, *, backup: bool = True) -> CurrentState:
    """Write what `read_current` finds as the new checkpoint and remove the journal. The caller holds the lock.

    Raises:
        StackNotFoundError, StateError: as `read_current`.
        EngineError: the system refuses to write.
    """
    path = layout.journal_path(name)
    try:
        current = read_current(layout, name)
    except JournalError as error:
        raise StateError(
            f"{error}; it was kept aside as {set_aside(path, error.why).name}: run `pulumi refresh` so that the state "
            "is true again, then repeat the command"
        ) from None
    digest = current.digest
    if current.folded:
        data = layout.encode(name, current.deployment)
        digest = hashlib.sha256(data).hexdigest()
        # Said first: a crash after the checkpoint and before the removal must not look like somebody else's change.
        mark_finished(path, digest)
        layout.write_encoded(name, data)
        if backup:
            add_backup(layout, name)
    if current.journal_left:
        path.unlink(missing_ok=True)
    if not current.folded:
        return current
    written = Checkpoint(layout.checkpoint_path(name), digest, current.deployment)
    return CurrentState(written, current.deployment, current.folded)
