"""Preview, update and destroy of a stack through `pulumi.automation`, with what goes wrong told in one sentence."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from operations.checkout import ROOT, State
from operations.engine_errors import in_one_sentence
from operations.errors import OperationError, StoppedError
from operations.locks import EngineLock, engine_locks
from operations.watching import Watcher

if TYPE_CHECKING:
    from pulumi.automation import Stack

Result = TypeVar("Result")
POLICIES = str(ROOT / "policies")


def release_stale_locks(stack: Stack, state: State) -> list[EngineLock]:
    """Take away the locks of dead processes through the engine, which first folds in what they had recorded.

    Returns: the locks that were stale.

    Raises:
        OperationError: a living process holds one.
    """
    locks = engine_locks(state, stack.name)
    for lock in locks:
        if lock.alive:
            raise OperationError(
                f"the stack {stack.name} is locked by {lock.holder}: wait for it to end; if it is gone for good, "
                f"run ./railyard pulumi cancel --yes {stack.name}"
            )
    if locks:
        with in_one_sentence():
            stack.cancel()
    return locks


def preview(stack: Stack, watcher: Watcher, *, refresh: bool = True) -> None:
    """What an update would change, into `watcher.changes`; policies are checked.

    Args:
        refresh: look at what really runs, first.

    Raises:
        OperationError: the program or a policy refuses.
    """
    _run(lambda: stack.preview(refresh=refresh, policy_packs=[POLICIES], color="never", on_event=watcher), watcher)


def update(stack: Stack, watcher: Watcher, message: str, *, refresh: bool = True) -> None:
    """Bring the stack to what the program says.

    Args:
        refresh: look at what really runs, first.

    Raises:
        OperationError: it could not be; what was done is recorded, and the next update goes on from there.
    """
    _run(
        lambda: stack.up(
            refresh=refresh,
            policy_packs=[POLICIES],
            color="never",
            message=message,
            on_event=watcher,
            show_secrets=False,
            suppress_outputs=True,
        ),
        watcher,
    )


def destroy(stack: Stack, watcher: Watcher) -> None:
    """Take away everything the stack made.

    Raises:
        OperationError: something would not go.
    """
    _run(
        lambda: stack.destroy(
            color="never", on_event=watcher, message="railyard down", show_secrets=False, suppress_outputs=True
        ),
        watcher,
    )


def _run(command: Callable[[], Result], watcher: Watcher) -> Result:
    with _finish_on_interrupt() as stopped, in_one_sentence(watcher.errors):
        try:
            return command()
        except Exception as error:
            if stopped.is_set():
                raise StoppedError(
                    "stopped: what was begun is finished and recorded; "
                    "./railyard up goes on from there, ./railyard down takes it away."
                ) from error
            blocking = [finding for finding in watcher.findings if finding.blocks]
            if blocking:
                from findings.terminal import terminal

                raise OperationError(
                    "the policies refuse this, and nothing that breaks them was made:\n" + terminal(blocking).rstrip()
                ) from error
            raise


@contextmanager
def _finish_on_interrupt() -> Iterator[threading.Event]:
    """While an engine works, Ctrl-C is the engine's to answer: it ends its running steps and records them.

    In a terminal the key reaches every process in the foreground; a signal sent to us alone is handed on.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        first = not stopped.is_set()
        stopped.set()
        if first:
            sys.stderr.write("\nstopping: running steps are finished first (Ctrl-C again to end them now) ...\n")
        if not sys.stdin.isatty():
            _interrupt_children()

    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt_children() -> None:
    import psutil

    for child in psutil.Process().children():
        child.send_signal(signal.SIGINT)
