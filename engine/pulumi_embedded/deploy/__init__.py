"""The deployment engine: runs a program and its providers against a base state, one journalled step at a time.

Everything a command needs to run an update is here; reading and writing state files and telling people about it is not.
`request` and `fold` import neither grpc nor pulumi; `run_update` imports both when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pulumi_embedded.deploy.request import (
    CancelToken,
    ImportSpec,
    JournalWriter,
    PolicyPackRef,
    ProjectSpec,
    ProviderPlugin,
    UpdateOptions,
    UpdateRequest,
    UpdateResult,
)

__all__ = [
    "CancelToken",
    "ImportSpec",
    "JournalWriter",
    "PolicyPackRef",
    "ProjectSpec",
    "ProviderPlugin",
    "UpdateOptions",
    "UpdateRequest",
    "UpdateResult",
    "run_update",
]


def run_update(
    request: UpdateRequest,
    *,
    journal: JournalWriter | None,
    events: Callable[[dict[str, Any]], None],
    cancel: CancelToken,
) -> UpdateResult:
    """Run one preview, update, refresh, destroy or import and return what it did.

    Args:
        request: what to run, and the state it starts from.
        journal: where each step is recorded before and after it is made; None for a preview.
        events: called with each engine event (`apitype.EngineEvent` without sequence and timestamp), in order, on
            the calling thread.
        cancel: tells the update to finish what runs and stop (`cancel`), or to stop at once (`terminate`).

    Raises:
        EngineError: the update could not be started (a wrong option, a missing plugin or interpreter); errors of
            the program and of steps are diagnostic events and make `ok` False instead.
    """
    from pulumi_embedded.deploy.update import run

    return run(request, journal=journal, events=events, cancel=cancel)
