"""Folds the journal of an update into the deployment it left. Pure; imports neither grpc nor pulumi."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulumi_embedded.state.resource import ResourceState


def fold(
    base: list[ResourceState],
    pending: list[tuple[str, ResourceState]],
    entries: Iterable[dict[str, Any]],
) -> tuple[list[ResourceState], list[tuple[str, ResourceState]]]:
    """Return the resources, dependencies first, and the operations that were under way when `entries` end.

    Args:
        base: the resources of the checkpoint that the update started from, in its order.
        pending: that checkpoint's pending operations.
        entries: the journal, oldest first; each "resource" in it is a `ResourceState.to_json()` with readable secrets.
    """
    raise NotImplementedError
