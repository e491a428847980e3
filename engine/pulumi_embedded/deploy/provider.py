"""What the engine asks of a provider, be it a plugin, the builtin one or the registry of providers itself."""

# ruff: noqa: ASYNC109

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from pulumi_embedded.deploy.diffing import DiffResult
from pulumi_embedded.properties import Properties

STATUS_OK, STATUS_PARTIAL, STATUS_UNKNOWN = 0, 1, 2
"""How far a failed operation got: nothing happened; the resource exists but is not right; nobody knows."""


@dataclass(frozen=True, slots=True)
class CheckFailure:
    """Why an input is wrong; `property` is "" when the whole resource is."""

    property: str
    reason: str


class ProviderError(Exception):
    """A provider said no. `message` is its own; `problems` are (path, reason) of the inputs that it complains of."""

    def __init__(self, message: str, status: int = STATUS_OK, problems: list[tuple[str, str]] | None = None) -> None:
        self.message = message
        self.problems = problems or []
        super().__init__(
            message + "".join(f"\n\t\t- property {path} has a problem: {reason}" for path, reason in self.problems)
        )
        self.status = status


class InitError(ProviderError):
    """The resource exists, but could not be initialized; its state is kept and the next update tries again."""

    def __init__(self, reasons: list[str], state: ReadResult) -> None:
        lines = "\n".join(f"\t* {reason}" for reason in reasons)
        count = f"{len(reasons)} error{'s' if len(reasons) != 1 else ''} occurred:\n{lines}\n\n"
        super().__init__(count if reasons else "resource init failed", STATUS_PARTIAL)
        self.reasons = reasons
        self.state = state


@dataclass(slots=True)
class CheckResult:
    """Inputs with defaults filled in, and what is wrong with them."""

    inputs: Properties
    failures: list[CheckFailure] = field(default_factory=list)


@dataclass(slots=True)
class ReadResult:
    """A resource as it is. No `id`: it does not exist. `inputs` is None when the provider gave none."""

    id: str = ""
    outputs: Properties | None = None
    inputs: Properties | None = None
    refresh_before_update: bool = False


@dataclass(slots=True)
class InvokeResult:
    """What a function returned."""

    properties: Properties
    failures: list[CheckFailure] = field(default_factory=list)


@dataclass(slots=True)
class DiffRequest:
    """Old and new inputs of a resource, to be compared."""

    urn: str
    id: str
    old_inputs: Properties
    old_outputs: Properties
    new_inputs: Properties
    allow_unknowns: bool
    ignore_changes: list[str]


@dataclass(slots=True)
class UpdateCall:
    """One update of one resource."""

    urn: str
    id: str
    old_inputs: Properties
    old_outputs: Properties
    new_inputs: Properties
    timeout: float
    ignore_changes: list[str]
    preview: bool


class Provider(Protocol):
    """The lifecycle of resources of one package. Every method may raise `ProviderError`."""

    async def check(
        self, urn: str, olds: Properties | None, news: Properties, *, allow_unknowns: bool, seed: bytes
    ) -> CheckResult:
        """Validate inputs and fill in defaults."""

    async def diff(self, request: DiffRequest) -> DiffResult:
        """Say what would change."""

    async def create(self, urn: str, inputs: Properties, *, timeout: float, preview: bool) -> ReadResult:
        """Create a resource; return its id and outputs."""

    async def update(self, call: UpdateCall) -> ReadResult:
        """Update a resource in place; return its outputs."""

    async def read(
        self, urn: str, resource_id: str, inputs: Properties | None, state: Properties | None, *, timeout: float
    ) -> ReadResult:
        """Read a resource."""

    async def delete(
        self, urn: str, resource_id: str, inputs: Properties, outputs: Properties, *, timeout: float
    ) -> None:
        """Delete a resource."""

    async def invoke(self, token: str, arguments: Properties, *, preview: bool) -> InvokeResult:
        """Call a function."""


class ConfigurableProvider(Provider, Protocol):
    """A provider that is itself a resource with a configuration."""

    async def check_config(self, urn: str, olds: Properties, news: Properties) -> CheckResult:
        """Validate the provider's own configuration."""

    async def diff_config(
        self,
        urn: str,
        old_inputs: Properties,
        old_outputs: Properties,
        new_inputs: Properties,
        ignore_changes: list[str],
    ) -> DiffResult:
        """Say what a change of the provider's configuration means."""

    async def construct(self, request: Any, inputs: Properties) -> Any:
        """Build a remote component; return the answer on the wire, None while the configuration is not known."""

    async def call(self, request: Any, arguments: Properties) -> Any:
        """Call a method of a component, or of the provider itself; return the answer on the wire."""

    def configure(self, urn: str, provider_id: str, inputs: Properties) -> None:
        """Begin to configure the provider; failures show at its first use."""

    async def cancel(self) -> None:
        """Ask the provider to stop what it is doing."""

    async def close(self) -> None:
        """Let go of the provider."""
