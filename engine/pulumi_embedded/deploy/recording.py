"""What the journal says of each kind of step, before and after it.

Source: pulumi `pkg/engine/journal_snapshot.go`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pulumi_embedded.deploy.journal import Recorder
from pulumi_embedded.deploy.read_steps import ImportStep, ReadStep, RefreshStep
from pulumi_embedded.deploy.step_base import Step
from pulumi_embedded.deploy.steps import (
    CreateStep,
    DeleteStep,
    RemovePendingReplaceStep,
    ReplaceStep,
    SameStep,
    UpdateStep,
)
from pulumi_embedded.properties import deep_equals
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import is_provider_type

_PENDING: dict[type[Step], str] = {
    CreateStep: "creating",
    UpdateStep: "updating",
    DeleteStep: "deleting",
    ReadStep: "reading",
    ImportStep: "importing",
}
_METADATA = tuple(
    item.name
    for item in fields(ResourceState)
    if item.name not in ("inputs", "outputs", "created", "modified", "delete", "extra")
)


def _reaches_out(step: Step) -> bool:
    """Say whether a step calls a plugin: a crash inside it leaves something unknown behind."""
    if isinstance(step, DeleteStep):
        return step.calls_provider and not is_provider_type(step.type)
    return step.resource.custom and not is_provider_type(step.type)


async def begin(recorder: Recorder, step: Step) -> int:
    """Record that a step begins; return the number of its operation."""
    operation = recorder.number()
    if not recorder.active:
        return operation
    kind = _PENDING.get(type(step))
    if kind is not None and _reaches_out(step):
        resource = step.resource.to_json()
        await recorder.write(
            {"kind": "begin", "id": operation, "operation": kind, "resource": resource},
            durable=not isinstance(step, ReadStep),
        )
    return operation


async def end(recorder: Recorder, step: Step, operation: int, *, success: bool) -> None:
    """Record how a step ended; a partial failure counts as success, because there is something to keep."""
    if not recorder.active or isinstance(step, ReplaceStep):
        return
    if not success:
        await recorder.write({"kind": "fail", "id": operation}, durable=False)
    elif isinstance(step, SameStep):
        await _end_same(recorder, step, operation)
    elif isinstance(step, RefreshStep):
        await _end_refresh(recorder, step, operation)
    else:
        await recorder.write(_end_entry(recorder, step, operation), durable=_reaches_out(step))


async def outputs(recorder: Recorder, step: Step) -> None:
    """Record that a registered component, or the stack, got its outputs."""
    state = step.new
    assert state is not None
    place = recorder.place(state, "remove")
    if place:
        entry = {"kind": "outputs", "state": state.to_json(), **place}
        await recorder.write(entry, durable=False)


async def _end_same(recorder: Recorder, step: SameStep, operation: int) -> None:
    if step.skipped_create:
        return
    old, new = step.old, step.new
    assert old is not None
    assert new is not None
    index = recorder.stands_in_base(old)
    if index is not None and _unchanged(old, new):
        entry: dict[str, Any] = {"kind": "same", "id": operation, "old": index}
    else:
        entry = {"kind": "end", "id": operation, "state": new.to_json(), **recorder.place(old, "remove")}
    await recorder.write(entry, durable=False)
    recorder.becomes(new, operation)


async def _end_refresh(recorder: Recorder, step: RefreshStep, operation: int) -> None:
    assert step.old is not None
    entry: dict[str, Any] = {"kind": "refreshed", "id": operation, **recorder.place(step.old, "remove")}
    if step.persisted:
        entry.update(kind="end", refresh=True)
    if step.new is not None:
        entry["state"] = step.new.to_json()
    await recorder.write(entry, durable=False)
    if step.new is not None:
        recorder.becomes(step.new, operation)


def _end_entry(recorder: Recorder, step: Step, operation: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": "end", "id": operation}
    old, new = step.old, step.new
    if new is not None:
        entry["state"] = new.to_json()
    if isinstance(step, CreateStep):
        if old is not None:
            entry.update(recorder.place(old, "remove" if old.pending_replacement else "delete"))
    elif isinstance(step, ImportStep):
        if step.original is not None:
            entry.update(recorder.place(step.original, "delete"))
    elif isinstance(step, DeleteStep):
        assert old is not None
        entry.update(recorder.place(old, "pending" if old.pending_replacement else "remove"))
    elif isinstance(step, ReadStep):
        if old is not None:
            entry.update(recorder.place(old, "delete" if step.replacing else "remove"))
    elif isinstance(step, UpdateStep | RemovePendingReplaceStep) and old is not None:
        entry.update(recorder.place(old, "remove"))
    if new is not None:
        recorder.becomes(new, operation)
    return entry


def _unchanged(old: ResourceState, new: ResourceState) -> bool:
    """Say whether a "same" resource may stay as it is recorded; its times never count."""
    if not all(_same_metadata(getattr(old, name), getattr(new, name)) for name in _METADATA):
        return False
    return deep_equals(old.inputs, new.inputs) and deep_equals(old.outputs, new.outputs)


def _same_metadata(old: Any, new: Any) -> bool:
    return bool(old == new or (not old and not new))


__all__ = ["begin", "end", "outputs"]
