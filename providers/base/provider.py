"""What a provider has to do, in plain Python; `server.py` speaks the protocol for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from providers.base.diffing import Difference
from providers.base.values import Properties


class ProviderError(Exception):
    """Something a person can mend, in one sentence that names what, where and how."""


class PartlyMadeError(ProviderError):
    """The resource exists, and something about it went wrong: its state is kept, and the update fails."""

    def __init__(self, sentence: str, resource_id: str, outputs: Properties) -> None:
        super().__init__(sentence)
        self.resource_id = resource_id
        self.outputs = outputs


@dataclass(frozen=True)
class Resource:
    """Which resource a call is about.

    Attributes:
        urn: its whole URN; type: such as "aws:rds/instance:Instance"; name: the last part of the URN.
        id: the provider's id, "" before it is made.
        ignored: paths of properties whose changes the program ignores, such as "spec.replicas".
    """

    urn: str
    type: str
    name: str
    id: str = ""
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checked:
    """Inputs with defaults filled in, and what is wrong with them as (property, reason)."""

    inputs: Properties
    failures: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Made:
    """A resource as it is: its id and its outputs. An empty id from `read` says that it is gone."""

    id: str
    outputs: Properties
    inputs: Properties | None = None


class Provider(Protocol):
    """One package's resources. Calls come from several threads at once.

    Inputs and outputs carry `Secret` and, during a preview, `UNKNOWN`. The server marks an output as secret where the
    input of the same name is; a provider marks only what it makes secret itself.
    """

    package: str
    version: str

    def check_config(self, config: Properties) -> list[tuple[str, str]]:
        """What is wrong with the provider's own configuration, as (property, reason)."""
        ...

    def configure(self, config: Properties) -> None:
        """Take the configuration. Raises ProviderError."""
        ...

    def check(self, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Checked:
        """Validate inputs and fill in defaults; `old` are the last ones, {} for a new resource."""
        ...

    def diff(self, resource: Resource, old: Properties, state: Properties, new: Properties) -> Difference:
        """Compare old inputs (and the state) with new inputs."""
        ...

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout_seconds: float) -> Made:
        """Make it; during a preview say what is known of it (id "")."""
        ...

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> Made:
        """Look at it. `inputs` and `state` are {} when it is imported or read by id alone."""
        ...

    def update(
        self,
        resource: Resource,
        old: Properties,
        state: Properties,
        new: Properties,
        *,
        preview: bool,
        timeout_seconds: float,
    ) -> Properties:
        """Change it in place; returns all outputs."""
        ...

    def delete(self, resource: Resource, inputs: Properties, state: Properties, *, timeout_seconds: float) -> None:
        """Take it away; one that is gone already is no error."""
        ...

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a function such as "aws:index/getRegion:getRegion"."""
        ...
