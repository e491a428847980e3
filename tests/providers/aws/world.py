"""Resources of the offline aws provider, made, looked at, changed and ended one call at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from providers.aws.lifecycle import Lifecycle
from providers.aws.provider import AwsProvider
from providers.aws.table import kinds
from providers.base.provider import Resource
from providers.base.values import UNKNOWN


@dataclass
class Thing:
    """A resource that was made."""

    resource: Resource
    inputs: dict[str, Any]
    outputs: dict[str, Any]

    @property
    def id(self) -> str:
        return self.resource.id

    def __getitem__(self, name: str) -> Any:
        return self.outputs[name]


@dataclass
class World:
    """An emulated account as programs use it.

    Attributes:
        unobserved: type -> properties that no answer told, of everything that was made.
    """

    provider: AwsProvider
    unobserved: dict[str, set[str]] = field(default_factory=dict)
    made: list[Thing] = field(default_factory=list)

    def make(self, type_: str, name: str, /, **inputs: Any) -> Thing:
        """Make a resource, with all that an engine does before and after; it has to be as it was asked for."""
        urn = f"urn:pulumi:test::railyard::{type_}::{name}"
        resource = Resource(urn, type_, name)
        checked = self.provider.check(resource, {}, inputs, name.encode())
        assert not checked.failures
        planned = self.provider.create(resource, checked.inputs, preview=True, timeout_seconds=0)
        assert planned.id == ""
        assert all(
            planned.outputs[output] in (UNKNOWN, checked.inputs.get(output)) for output in kinds()[type_].outputs
        )
        made = self.provider.create(resource, checked.inputs, preview=False, timeout_seconds=30)
        thing = Thing(Resource(urn, type_, name, made.id), checked.inputs, made.outputs)
        self.made.append(thing)
        self.settled(thing)
        return thing

    def settled(self, thing: Thing) -> None:
        """What is there is what was asked for: a refresh finds no change."""
        seen = self._life(thing).look(thing.id, thing.inputs, thing.outputs)
        self.unobserved.setdefault(thing.resource.type, set()).update(seen.unobserved)
        found = self.provider.diff(thing.resource, seen.inputs, seen.outputs, thing.inputs)
        assert not found.changes, f"{thing.resource.type} drifts: {found.changes}: {seen.inputs} is not {thing.inputs}"

    def plan(self, thing: Thing, **changes: Any) -> dict[str, bool]:
        """What changed inputs would change: path -> whether it replaces. A None takes an input away."""
        found = self.provider.diff(thing.resource, thing.inputs, thing.outputs, self._with(thing, changes))
        return {change.path: change.replaces for change in found.changes}

    def change(self, thing: Thing, **changes: Any) -> Thing:
        """Change a resource in place."""
        new = self._with(thing, changes)
        planned = self.plan(thing, **changes)
        assert planned, "nothing would change"
        assert not any(planned.values()), f"{planned} replaces"
        outputs = self.provider.update(
            thing.resource, thing.inputs, thing.outputs, new, preview=False, timeout_seconds=30
        )
        changed = Thing(thing.resource, new, outputs)
        self.made[self.made.index(thing)] = changed
        self.settled(changed)
        return changed

    def end(self, thing: Thing) -> None:
        """End a resource, twice: the second time it is gone."""
        for _ in range(2):
            self.provider.delete(thing.resource, thing.inputs, thing.outputs, timeout_seconds=30)
        self.made.remove(thing)

    def is_gone(self, thing: Thing) -> bool:
        return self.provider.read(thing.resource, thing.inputs, thing.outputs).id == ""

    def end_all(self) -> None:
        """End everything, the last made first; nothing of it stays behind."""
        for thing in reversed(list(self.made)):
            self.end(thing)
            kind = kinds()[thing.resource.type]
            assert kind.delete is None or "*" in kind.recorded or self.is_gone(thing), f"{thing.resource.urn} stays"

    def _with(self, thing: Thing, changes: dict[str, Any]) -> dict[str, Any]:
        new = {key: value for key, value in {**thing.inputs, **changes}.items() if value is not None}
        return self.provider.check(thing.resource, thing.inputs, new, b"").inputs

    def _life(self, thing: Thing) -> Lifecycle:
        return self.provider._life(kinds()[thing.resource.type], thing.resource, thing.inputs)
