"""From settings to a stack that is as the program says: the steps `up` and `preview` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from findings.terminal import terminal
from operations import settings_file
from operations.checkout import State
from operations.deployment import preview, release_stale_locks, update
from operations.engine_errors import in_one_sentence
from operations.engines import ensure_passphrase
from operations.progress import Phases
from operations.stacks import Opened, opened
from operations.watching import Watcher

if TYPE_CHECKING:
    from pulumi.automation import Stack

# What the summary's operations are called before and after.
WORDS = {
    "create": ("to create", "created"),
    "update": ("to update", "updated"),
    "delete": ("to delete", "deleted"),
    "replace": ("to replace", "replaced"),
    "create-replacement": ("to replace", "replaced"),
}


@dataclass(frozen=True)
class Prepared:
    """A stack that is there, with settings and secrets.

    Attributes:
        keep: puts the settings, as an update left them, where the state is.
        refresh: whether to look at what really runs, first.
    """

    opened: Opened
    stack: Stack
    keep: Callable[[], None]
    refresh: bool = True


def prepare(name: str, state: State, phases: Phases) -> Prepared:
    """Choose the engine, make the stack if it is missing, and generate the settings it lacks.

    Raises:
        OperationError: no engine, wrong settings, no disk space.
    """
    with phases.phase("settings") as phase:
        phase.doing("choosing the engine")
        restored = settings_file.restore(state)
        if restored:
            phases.note(restored)
        ensure_passphrase(state)
        there = opened(name, state)
        stack = there.create_or_select()
        made = settings_file.generate_missing(there, phase.doing)
        settings_file.check()
        settings_file.keep(state)
        phase.outcome = there.engine.title + (f", {made} values generated" if made else "")
    return Prepared(there, stack, lambda: settings_file.keep(state))


def plan(prepared: Prepared, phases: Phases) -> Watcher:
    """Preview the update; the policies have their say before anything is made.

    Raises:
        OperationError: the program or a policy refuses, or somebody else works on the stack.
    """
    with phases.phase("plan") as phase:
        watcher = Watcher(doing=phase.doing, planning=True)
        preview(prepared.stack, watcher, refresh=prepared.refresh)
        phase.outcome = summary(watcher.changes)
    if watcher.findings:
        phases.say(terminal(watcher.findings).rstrip())
    return watcher


def summary(changes: dict[str, int], *, done: bool = False) -> str:
    """Such as "12 to create, 1 to update", or "12 created, 1 updated" once it is `done`; "no changes"."""
    counted: dict[str, int] = {}
    for operation, count in changes.items():
        if operation in WORDS:
            word = WORDS[operation][done]
            counted[word] = max(count, counted.get(word, 0))
    return ", ".join(f"{count} {word}" for word, count in counted.items()) or "no changes"


def converge(prepared: Prepared, phases: Phases) -> bool:
    """Bring the stack to what the program says; returns whether anything had to change.

    Raises:
        OperationError: as `plan`, or a resource could not be made; what was made is recorded.
    """
    stale = release_stale_locks(prepared.stack, prepared.opened.state)
    for lock in stale:
        phases.note(f"the lock of {lock.holder} was stale: its process is gone. What it had done is kept.")
    planned = plan(prepared, phases)
    if not planned.changes and not stale and last_update_ended_well(prepared.stack):
        return False
    with phases.phase("update") as phase:
        watcher = Watcher(doing=phase.doing, planned=sum(planned.changes.values()))
        if not phases.console.is_terminal:
            watcher.done = phases.note
        update(prepared.stack, watcher, "railyard up", refresh=prepared.refresh)
        prepared.keep()
        phase.outcome = summary(watcher.changes, done=True)
    return True


def last_update_ended_well(stack: Stack) -> bool:
    """Whether the newest update in the stack's history succeeded: one that broke off may have left things to mend."""
    with in_one_sentence():
        last = stack.info(show_secrets=False)
    return last is not None and last.result == "succeeded"
