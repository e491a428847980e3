"""What every step has: the resource before and after it, and how it tells the program that it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pulumi_embedded.deploy.diffing import DiffResult, PropertyDiff
from pulumi_embedded.deploy.goal import RegisterResult, ResultKind
from pulumi_embedded.deploy.provider import STATUS_OK, InitError, Provider, ProviderError
from pulumi_embedded.state.resource import ResourceState

if TYPE_CHECKING:
    from pulumi_embedded.deploy.deployment import Deployment

SAME, CREATE, UPDATE, DELETE, REPLACE = "same", "create", "update", "delete", "replace"
CREATE_REPLACEMENT, DELETE_REPLACED = "create-replacement", "delete-replaced"
READ, READ_REPLACEMENT, REFRESH = "read", "read-replacement", "refresh"
DISCARD, DISCARD_REPLACED, REMOVE_PENDING_REPLACE = "discard", "discard-replaced", "remove-pending-replace"
IMPORT, IMPORT_REPLACEMENT = "import", "import-replacement"

MOST_RETRIES = 100
"""How often an error hook may ask for another try."""


class Registration:
    """A program's request that waits for its answer; the first answer counts."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[RegisterResult] = asyncio.get_running_loop().create_future()

    def done(self, state: ResourceState, result: ResultKind = "success", *, unknown: bool = False) -> None:
        """Answer the program."""
        if not self.answer.done():
            self.answer.set_result(RegisterResult(state, result, unknown))


class StepFailedError(Exception):
    """A step that was started and failed; `cause` says why, `status` how far it got."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class ProtectedError(Exception):
    """A delete of a protected resource: refused, but other deletes go on."""

    def __init__(self, urn: str) -> None:
        super().__init__(
            f'resource "{urn}" cannot be deleted\n'
            "because it is protected. To unprotect the resource, either remove the `protect` flag from the resource "
            f"in your Pulumi program and run `pulumi up`, or use the command:\n`pulumi state unprotect '{urn}'`"
        )


@dataclass(slots=True)
class Applied:
    """How a step went. `complete` lets those continue who wait for it, once it is recorded."""

    status: int = STATUS_OK
    error: Exception | None = None
    complete: Callable[[], None] | None = None


def now_text() -> str:
    """Return the present time as the state keeps it (RFC 3339, UTC)."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class Step:
    """One thing to do with one resource.

    `logical` steps stand for what the program asked for; `keys` and `diffs` name the properties behind it.
    """

    op: str = SAME
    logical: bool = True
    internal: bool = False
    untargeted: bool = False
    skipped_create: bool = False

    def __init__(
        self,
        deployment: Deployment,
        *,
        registration: Registration | None = None,
        old: ResourceState | None = None,
        new: ResourceState | None = None,
    ) -> None:
        self.deployment = deployment
        self.registration = registration
        self.old = old
        self.new = new
        self.keys: list[str] = []
        self.diffs: list[str] = []
        self.detailed_diff: dict[str, PropertyDiff] | None = None

    @property
    def resource(self) -> ResourceState:
        """The latest state that is known."""
        state = self.new or self.old
        assert state is not None
        return state

    @property
    def urn(self) -> str:
        """The resource's URN."""
        return self.resource.urn

    @property
    def type(self) -> str:
        """The resource's type."""
        return self.resource.type

    @property
    def provider(self) -> str:
        """The reference to the resource's provider."""
        return self.resource.provider

    @property
    def result_op(self) -> str:
        """The operation that is counted for this step."""
        return self.op

    def explain(self, diff: DiffResult | None) -> None:
        """Keep which properties are behind this step."""
        if diff is not None:
            self.keys = list(diff.replace_keys)
            self.diffs = list(diff.changed_keys)
            self.detailed_diff = diff.detailed

    async def apply(self) -> Applied:
        """Do it."""
        raise NotImplementedError

    def fail(self) -> None:
        """Tell the program that the step failed (with `--continue-on-error`)."""
        if self.registration is not None:
            self.registration.done(self.resource, "failed")

    def skip(self) -> None:
        """Tell the program that the step was skipped, because something it depends on failed."""
        if self.registration is not None:
            self.registration.done(self.resource, "skipped")

    async def plugin(self) -> Provider:
        """Return the provider of the step's resource."""
        return await self.deployment.provider_for(self.type, self.provider, self.urn)

    def complete_with(self, state: ResourceState, *, unknown: bool = False) -> Callable[[], None]:
        """Return what answers the program with `state`."""

        def complete() -> None:
            if self.registration is not None:
                self.registration.done(state, unknown=unknown)

        return complete


def failure(error: Exception) -> Applied:
    """Return how a step went that raised `error`."""
    return Applied(error.status if isinstance(error, ProviderError) else STATUS_OK, error)


def keep_init_error(state: ResourceState, error: Exception | None) -> None:
    """Keep in the state why a resource could not be initialized."""
    state.init_errors = list(error.reasons) if isinstance(error, InitError) else []
