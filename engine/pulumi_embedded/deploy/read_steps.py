"""The steps that read: resources the program looks up, refreshes, imports.

Source: pulumi `pkg/resource/deploy/step.go`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pulumi_embedded.deploy.diffing import NONE, DiffResult
from pulumi_embedded.deploy.property_path import reset
from pulumi_embedded.deploy.provider import STATUS_OK, STATUS_PARTIAL, InitError, ProviderError, ReadResult
from pulumi_embedded.deploy.step_base import (
    DELETE,
    IMPORT,
    IMPORT_REPLACEMENT,
    READ,
    READ_REPLACEMENT,
    REFRESH,
    SAME,
    UPDATE,
    Applied,
    Registration,
    Step,
    failure,
    keep_init_error,
    now_text,
)
from pulumi_embedded.properties import (
    UNKNOWN,
    Properties,
    deep_equals,
    is_secret,
    make_secret,
)
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import is_provider_type, split_provider_reference, urn_type

if TYPE_CHECKING:
    from pulumi_embedded.deploy.deployment import Deployment


class ReadStep(Step):
    """A resource that the program looks up; we do not own it."""

    def __init__(
        self,
        deployment: Deployment,
        registration: Registration,
        old: ResourceState | None,
        new: ResourceState,
        *,
        replacing: bool = False,
    ) -> None:
        super().__init__(deployment, registration=registration, old=old, new=new)
        self.op = READ_REPLACEMENT if replacing else READ
        self.logical = not replacing
        self.replacing = replacing

    async def apply(self) -> Applied:
        """Read it, in previews too, unless its id is not known yet."""
        old, new = self.old, self.new
        assert new is not None
        failed: Exception | None = None
        if new.id == UNKNOWN:
            new.outputs = {}
        else:
            try:
                result = await self._read(new)
            except InitError as error:
                failed, result = error, error.state
            except ProviderError as error:
                return failure(error)
            if result.outputs is None:
                return failure(ProviderError(f"resource '{new.id}' does not exist"))
            new.outputs = result.outputs
            new.id = result.id or new.id
            keep_init_error(new, failed)
        if self.replacing and old is not None:
            old.delete = True
        if old is not None:
            new.created, new.modified = old.created, old.modified
            if not deep_equals(new.inputs, old.inputs) or not deep_equals(new.outputs, old.outputs):
                new.modified = now_text()
        return Applied(STATUS_PARTIAL if failed else STATUS_OK, failed, self.complete_with(new))

    async def _read(self, new: ResourceState) -> ReadResult:
        provider = await self.plugin()
        return await provider.read(new.urn, new.id, new.inputs, new.inputs, timeout=new.custom_timeouts.get("read", 0))


class RefreshStep(Step):
    """A resource is read again, so that the state says what really is.

    A `persisted` one is part of an update that refreshes each resource as the program registers it. Afterwards `new` is
    None when the resource is gone.
    """

    op = REFRESH
    logical = False

    def __init__(
        self, deployment: Deployment, old: ResourceState, *, persisted: bool = False, internal: bool = False
    ) -> None:
        super().__init__(deployment, old=old, new=old)
        self.persisted = persisted
        self.internal = internal
        self.diff = DiffResult(changes=NONE)

    @property
    def resource(self) -> ResourceState:
        """The state before the refresh: after it there may be none."""
        assert self.old is not None
        return self.old

    @property
    def result_op(self) -> str:
        """What the refresh found: the same, a change, or nothing."""
        if self.new is None:
            return DELETE
        assert self.old is not None
        if self.old.external:
            same = self.new is self.old or deep_equals(self.old.outputs, self.new.outputs)
        else:
            same = self.new is self.old or self.diff.changes == NONE
        return SAME if same else UPDATE

    async def apply(self) -> Applied:
        """Read the resource and compare it with what the state says."""
        old = self.old
        assert old is not None
        if not old.custom or is_provider_type(old.type) or old.pending_replacement:
            if self.persisted:
                self.new = replace(old)
            return Applied()
        init_errors: list[str] = []
        try:
            provider = await self.plugin()
            result = await provider.read(
                old.urn, old.id, old.inputs, old.outputs, timeout=old.custom_timeouts.get("read", 0)
            )
        except InitError as error:
            init_errors, result = list(error.reasons), error.state
            self.deployment.emitter.warning(
                "Refreshed resource is in an unhealthy state:\n* " + "\n* ".join(init_errors), old.urn
            )
        except ProviderError as error:
            return failure(error)
        if not result.id or result.outputs is None:
            self.new = None
            return Applied()
        inputs = old.inputs if result.inputs is None else result.inputs
        new = replace(
            old,
            id=result.id,
            inputs=inputs,
            outputs=result.outputs,
            init_errors=init_errors,
            refresh_before_update=result.refresh_before_update,
        )
        self.new = new
        if not deep_equals(inputs, old.inputs) or not deep_equals(result.outputs, old.outputs):
            new.modified = now_text()
        if not old.external:
            try:
                # What an update of an unchanged program would do after this refresh, the other way round.
                diff = await self.deployment.diff_resource(
                    new.urn, new.id, new.inputs, new.outputs, old.inputs, provider, old.ignore_changes
                )
            except ProviderError as error:
                self.new = old
                return failure(error)
            self.diff = diff.inverted()
            self.diffs = list(self.diff.changed_keys)
            self.detailed_diff = self.diff.detailed
        return Applied()


class ImportStep(Step):
    """A resource that exists comes under our management, as the program (`import` option) or a command asks.

    `original` is what the state had under this name, if the import replaces it; `planned` is True for the command.
    """

    def __init__(
        self,
        deployment: Deployment,
        registration: Registration | None,
        new: ResourceState,
        *,
        original: ResourceState | None = None,
        ignore_changes: list[str] | None = None,
        planned: bool = False,
        properties: tuple[str, ...] = (),
    ) -> None:
        super().__init__(deployment, registration=registration, new=new)
        self.op = IMPORT_REPLACEMENT if original is not None else IMPORT
        self.logical = original is None
        self.original = original
        self.ignore_changes = ignore_changes or []
        self.planned = planned
        self.properties = properties

    async def apply(self) -> Applied:
        """Read the resource; take its inputs over."""
        new = self.new
        assert new is not None
        problem = self._misplaced(new) if self.planned else None
        if problem:
            return failure(ProviderError(problem))
        supplied = new.inputs
        try:
            status = await self._read(new, supplied) if new.custom else STATUS_OK
        except ProviderError as error:
            return failure(error)
        if not new.custom:
            new.inputs, new.outputs = supplied if self.planned else {}, {}
        self.old = replace(new, aliases=[], additional_secret_outputs=[], created="", modified="", resource_hooks={})
        new.created = new.modified = now_text()
        if new.custom and self.planned:
            try:
                await self._check(new)
            except ProviderError as error:
                return failure(error)
        elif new.custom:
            new.inputs, invalid = reset(new.inputs, self.old.inputs, self.ignore_changes)
            self.deployment.warn_ignored(new.urn, invalid)
            if self.original is not None:
                self.original.delete = True
        return Applied(status, complete=self.complete_with(new) if self.planned else None)

    def _misplaced(self, new: ResourceState) -> str:
        if new.urn in self.deployment.olds:
            return f"resource '{new.urn}' already exists"
        if urn_type(new.parent) != "pulumi:pulumi:Stack" and new.parent not in self.deployment.news:
            return f"unknown parent '{new.parent}' for resource '{new.urn}'"
        return ""

    async def _read(self, new: ResourceState, supplied: Properties) -> int:
        provider = await self.plugin()
        failed: InitError | None = None
        try:
            result = await provider.read(new.urn, new.import_id, None, None, timeout=new.custom_timeouts.get("read", 0))
        except InitError as error:
            failed, result = error, error.state
        keep_init_error(new, failed)
        if result.outputs is None:
            raise ProviderError(f"resource '{new.id or new.import_id}' does not exist")
        if result.inputs is None:
            package = urn_type(new.urn).partition(":")[0]
            raise ProviderError(
                f"provider does not support importing resources; please try updating the '{package}' plugin"
            )
        new.id = result.id or new.import_id
        new.inputs = _merged(result.inputs, supplied) if self.planned else result.inputs
        new.outputs = result.outputs
        new.refresh_before_update = result.refresh_before_update
        return STATUS_PARTIAL if failed else STATUS_OK

    async def _check(self, new: ResourceState) -> None:
        """Let the provider check what was read; failures are shown, but the import goes on."""
        assert self.old is not None
        new.import_id = ""
        provider = await self.plugin()
        result = await provider.check(
            new.urn, self.old.inputs, new.inputs, allow_unknowns=self.deployment.dry_run, seed=self.deployment.seed()
        )
        if result.failures:
            package = urn_type(split_provider_reference(new.provider)[0]).rpartition(":")[2]
            advice = (
                "Try specifying a different set of properties to import with in the future."
                if self.properties
                else f"This is almost certainly a bug in the `{package}` provider."
            )
            self.deployment.emitter.warning(
                f"One or more imported inputs failed to validate. {advice} The import will still proceed, but you "
                "will need to edit the generated code after copying it into your program.",
                new.urn,
            )
        self.deployment.report_check_failures(new, result.failures, as_warnings=True)


def _merged(read: Properties, supplied: Properties) -> Properties:
    """Fill what a provider cannot read from what the import supplied."""
    merged = dict(read)
    for key, value in supplied.items():
        if merged.get(key) is None:
            merged[key] = value
        elif is_secret(value) and not is_secret(merged[key]):
            merged[key] = make_secret(merged[key])
    return merged
