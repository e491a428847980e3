"""The steps that make, change and remove resources.

Source: pulumi `pkg/resource/deploy/step.go`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pulumi_embedded.deploy.diffing import DiffResult
from pulumi_embedded.deploy.hooks import HookCall
from pulumi_embedded.deploy.provider import STATUS_OK, STATUS_PARTIAL, InitError, ProviderError, ReadResult, UpdateCall
from pulumi_embedded.deploy.step_base import (
    CREATE,
    CREATE_REPLACEMENT,
    DELETE,
    DELETE_REPLACED,
    DISCARD,
    DISCARD_REPLACED,
    MOST_RETRIES,
    REMOVE_PENDING_REPLACE,
    REPLACE,
    SAME,
    UPDATE,
    Applied,
    ProtectedError,
    Registration,
    Step,
    failure,
    keep_init_error,
    now_text,
)
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import is_provider_type

if TYPE_CHECKING:
    from pulumi_embedded.deploy.deployment import Deployment

__all__ = ["CreateStep", "DeleteStep", "RemovePendingReplaceStep", "ReplaceStep", "SameStep", "Step", "UpdateStep"]


class SameStep(Step):
    """Nothing changes but, perhaps, what the state says about the resource."""

    op = SAME

    def __init__(
        self,
        deployment: Deployment,
        registration: Registration | None,
        old: ResourceState,
        new: ResourceState,
        *,
        untargeted: bool = False,
        skipped_create: bool = False,
    ) -> None:
        super().__init__(deployment, registration=registration, old=old, new=new)
        self.untargeted = untargeted
        self.skipped_create = skipped_create

    @classmethod
    def untargeted_of(
        cls, deployment: Deployment, old: ResourceState, registration: Registration | None = None
    ) -> SameStep:
        """Return the step that carries a resource over which the update does not touch."""
        return cls(deployment, registration, old, replace(old, id=""), untargeted=True)

    @classmethod
    def skipped(cls, deployment: Deployment, registration: Registration | None, new: ResourceState) -> SameStep:
        """Return the step of a resource that would be created, were it targeted."""
        return cls(deployment, registration, replace(new), new, skipped_create=True)

    async def apply(self) -> Applied:
        """Carry id and outputs over; load the provider if that is what the resource is."""
        assert self.old is not None
        assert self.new is not None
        self.new.id = self.old.id
        self.new.outputs = self.old.outputs
        if is_provider_type(self.new.type) and not self.skipped_create and not self.untargeted:
            try:
                await self.deployment.registry.same(replace(self.new, inputs=self.old.inputs), from_check=True)
            except ProviderError as error:
                return failure(ProviderError(f"bad provider state for resource {self.urn}: {error}"))
        return Applied(complete=self.complete_with(self.new, unknown=self.skipped_create))


class CreateStep(Step):
    """A new resource, perhaps in place of an old one."""

    def __init__(
        self,
        deployment: Deployment,
        registration: Registration | None,
        new: ResourceState,
        *,
        old: ResourceState | None = None,
        diff: DiffResult | None = None,
        replacing: bool = False,
        pending_delete: bool = False,
    ) -> None:
        super().__init__(deployment, registration=registration, old=old, new=new)
        self.op = CREATE_REPLACEMENT if replacing else CREATE
        self.logical = not replacing
        self.pending_delete = pending_delete
        self.explain(diff)

    async def apply(self) -> Applied:
        """Run the hooks and the provider's create."""
        new = self.new
        assert new is not None
        hooks = self.deployment.hooks
        call = HookCall(new, new=new)
        try:
            await hooks.run("BeforeCreate", call)
        except ProviderError as error:
            return failure(error)
        result = ReadResult(id=new.id, outputs=new.outputs)
        failed: Exception | None = None
        if new.custom:
            try:
                result = await with_retries(self, "create", call, self._create)
            except InitError as error:
                failed, result = error, error.state
            except ProviderError as error:
                return failure(error)
            if failed is None and not self.deployment.dry_run and not result.id:
                return failure(ProviderError("provider did not return an ID from Create"))
        new.id = result.id
        new.outputs = result.outputs or {}
        new.refresh_before_update = result.refresh_before_update
        keep_init_error(new, failed)
        new.created = new.modified = now_text()
        if self.pending_delete and self.old is not None:
            self.old.delete = True
        if failed is not None:
            return Applied(STATUS_PARTIAL, failed)
        if new.custom:
            await self.deployment.after_hooks("AfterCreate", replace_outputs(call, new))
        return Applied(complete=self.complete_with(new))

    async def _create(self) -> ReadResult:
        assert self.new is not None
        provider = await self.plugin()
        return await provider.create(
            self.urn,
            self.new.inputs,
            timeout=self.new.custom_timeouts.get("create", 0),
            preview=self.deployment.dry_run,
        )


class DeleteStep(Step):
    """A resource goes; of an external one only our record of it."""

    def __init__(
        self, deployment: Deployment, old: ResourceState, *, replacing: bool = False, pending_replacement: bool = False
    ) -> None:
        super().__init__(deployment, old=old)
        if old.external:
            self.op = DISCARD_REPLACED if replacing else DISCARD
        else:
            self.op = DELETE_REPLACED if replacing else DELETE
        self.logical = not replacing
        self.replacing = replacing
        self.pending_replacement = pending_replacement

    @property
    def calls_provider(self) -> bool:
        """True when the resource itself is deleted, not just forgotten."""
        old = self.resource
        deleted_with = old.deleted_with and old.deleted_with in self.deployment.deleted
        return old.custom and not old.external and not old.retain_on_delete and not deleted_with

    async def apply(self) -> Applied:
        """Run the hooks and the provider's delete."""
        old = self.resource
        call = HookCall(old, old=old, old_outputs=True)
        try:
            await self.deployment.hooks.run("BeforeDelete", call)
        except ProviderError as error:
            return failure(error)
        if not self.replacing and old.protect and not self.deployment.options.ignore_protect:
            return failure(ProtectedError(old.urn))
        if not self.deployment.dry_run and self.calls_provider:
            try:
                await with_retries(self, "delete", call, self._delete)
            except ProviderError as error:
                return failure(error)
        if self.pending_replacement:
            old.pending_replacement = True
        await self.deployment.after_hooks("AfterDelete", call)
        return Applied()

    async def _delete(self) -> ReadResult:
        old = self.resource
        provider = await self.plugin()
        await provider.delete(old.urn, old.id, old.inputs, old.outputs, timeout=old.custom_timeouts.get("delete", 0))
        return ReadResult()


class RemovePendingReplaceStep(Step):
    """A resource that was deleted for a replacement that the program no longer asks for."""

    op = REMOVE_PENDING_REPLACE
    logical = False
    internal = True

    def __init__(self, deployment: Deployment, old: ResourceState) -> None:
        super().__init__(deployment, old=old)

    async def apply(self) -> Applied:
        """Nothing is left to do outside the state."""
        return Applied()


class UpdateStep(Step):
    """A resource changes in place."""

    op = UPDATE

    def __init__(
        self,
        deployment: Deployment,
        registration: Registration | None,
        old: ResourceState,
        new: ResourceState,
        diff: DiffResult,
        ignore_changes: list[str],
    ) -> None:
        super().__init__(deployment, registration=registration, old=old, new=new)
        self.explain(diff)
        self.keys = []
        self.ignore_changes = ignore_changes

    async def apply(self) -> Applied:
        """Run the hooks and the provider's update."""
        old, new = self.old, self.new
        assert old is not None
        assert new is not None
        new.id, new.created, new.modified = old.id, old.created, old.modified
        call = HookCall(new, new=new, old=old, old_outputs=True)
        try:
            await self.deployment.hooks.run("BeforeUpdate", call)
        except ProviderError as error:
            return failure(error)
        failed: Exception | None = None
        if new.custom:
            try:
                result = await with_retries(self, "update", call, self._update)
            except InitError as error:
                failed, result = error, error.state
            except ProviderError as error:
                return failure(error)
            new.outputs = result.outputs or {}
            new.refresh_before_update = result.refresh_before_update
            new.modified = now_text()
        keep_init_error(new, failed)
        if failed is not None:
            return Applied(STATUS_PARTIAL, failed)
        if old.custom:
            await self.deployment.after_hooks("AfterUpdate", replace_outputs(call, new))
        return Applied(complete=self.complete_with(new))

    async def _update(self) -> ReadResult:
        old, new = self.old, self.new
        assert old is not None
        assert new is not None
        provider = await self.plugin()
        return await provider.update(
            UpdateCall(
                urn=self.urn,
                id=old.id,
                old_inputs=old.inputs,
                old_outputs=old.outputs,
                new_inputs=new.inputs,
                timeout=new.custom_timeouts.get("update", 0),
                ignore_changes=self.ignore_changes,
                preview=self.deployment.dry_run,
            )
        )


class ReplaceStep(Step):
    """Says that a resource is being replaced; the work is done by a create and a delete around it."""

    op = REPLACE

    def __init__(
        self, deployment: Deployment, old: ResourceState, new: ResourceState, diff: DiffResult | None = None
    ) -> None:
        super().__init__(deployment, old=old, new=new)
        self.explain(diff)

    async def apply(self) -> Applied:
        """Nothing of its own."""
        return Applied(STATUS_OK)


def replace_outputs(call: HookCall, new: ResourceState) -> HookCall:
    """Return a hook call that also shows the new outputs."""
    return replace(call, subject=new, new_outputs=True)


async def with_retries(
    step: Step, operation: str, call: HookCall, attempt: Callable[[], Awaitable[ReadResult]]
) -> ReadResult:
    """Call a provider, again and again while the resource's error hooks ask for it.

    Raises:
        ProviderError: the last attempt failed.
    """
    failures: list[str] = []
    while True:
        try:
            return await attempt()
        except ProviderError as error:
            failures.insert(0, str(error))
            if not call.subject.resource_hooks.get("OnError"):
                raise
            if len(failures) >= MOST_RETRIES:
                step.deployment.emitter.warning(
                    f"maximum number of error hook retries ({MOST_RETRIES}) reached", step.urn
                )
                raise ProviderError("maximum number of error hook retries reached", error.status) from None
            if not await step.deployment.hooks.wants_retry(call, operation, failures):
                raise
            step.deployment.emitter.warning(
                f"retrying {operation} due to on-error hook request ({len(failures)}/{MOST_RETRIES})", step.urn
            )
