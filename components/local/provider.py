"""What every dynamic provider of the local platform shares.

The engine keeps the pickled provider in its state. A provider class is therefore tiny, module-level and without
instance state, so that it is pickled as its import path and the state does not change when code does.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from components.local.engine_watch import watch_engine, working
from components.local.errors import sentences

PROVIDER_KEY = "__provider"
Properties = dict[str, Any]


def without_provider(properties: Properties) -> Properties:
    """`properties` without the pickled provider that the SDK adds to them."""
    return {key: value for key, value in properties.items() if key != PROVIDER_KEY}


class LocalProvider(ResourceProvider):
    """Create, read, update and delete in terms of what a subclass writes: `make`, `observe`, `change`, `remove`.

    Every input that the real thing can drift from is returned by `observe` under the same key, as it was found; `diff`
    compares those with the wanted inputs. A key that the engine does not know yet (an unknown) counts as different.
    """

    # The pickled provider is an import path: no secret, so it need not be encrypted in the state.
    serialize_as_secret_always = False
    # Inputs whose change makes a new resource instead of changing this one.
    replaced_by: ClassVar[frozenset[str]] = frozenset()
    # Inputs that only matter when the resource is made.
    only_at_creation: ClassVar[frozenset[str]] = frozenset()
    # Two of them cannot exist side by side under one name.
    deletes_before_replacing: ClassVar[bool] = True

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource, or take over the one an interrupted run left; return its id and outputs."""
        raise NotImplementedError

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        """The outputs as they are found now; None when the resource is gone."""
        return recorded

    def change(self, identifier: str, recorded: Properties, inputs: Properties) -> Properties:
        """Bring the resource to `inputs`; by default by making it again, since making is idempotent."""
        return self.make(inputs)[1]

    def remove(self, identifier: str, recorded: Properties) -> None:
        """Remove the resource; nothing to remove is success."""

    def problems(self, inputs: Properties) -> dict[str, str]:
        """What is wrong with `inputs`, by key, as sentences. Unknown values must be let through."""
        return {}

    def configure(self, req: ConfigureRequest) -> None:
        watch_engine()

    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        failures = [CheckFailure(key, reason) for key, reason in self.problems(without_provider(news)).items()]
        return CheckResult(news, failures)

    def diff(self, _id: str, olds: Properties, news: Properties) -> DiffResult:
        changed = {
            key
            for key, value in without_provider(news).items()
            if key not in self.only_at_creation and olds.get(key) != value
        }
        return DiffResult(
            changes=bool(changed),
            replaces=sorted(changed & self.replaced_by),
            delete_before_replace=self.deletes_before_replacing,
        )

    def create(self, props: Properties) -> CreateResult:
        with working(), sentences():
            identifier, outputs = self.make(without_provider(props))
        return CreateResult(identifier, outputs)

    def read(self, id_: str, props: Properties) -> ReadResult:
        with working(), sentences():
            found = self.observe(id_, without_provider(props))
        # An empty id tells the engine that the resource is gone.
        return ReadResult("", {}) if found is None else ReadResult(id_, found)

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        with working(), sentences():
            return UpdateResult(self.change(_id, without_provider(_olds), without_provider(_news)))

    def delete(self, _id: str, _props: Properties) -> None:
        with working(), sentences():
            self.remove(_id, without_provider(_props))
