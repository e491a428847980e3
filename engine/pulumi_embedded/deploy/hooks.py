"""Resource hooks and error hooks: functions of the program that run around steps.

Source: pulumi `pkg/resource/deploy/resource_hooks.go`, `deployment.go` (`RunHooks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pulumi.runtime.proto import alias_pb2, callback_pb2, resource_pb2

from pulumi_embedded.deploy.callbacks import Callbacks
from pulumi_embedded.deploy.events import Emitter
from pulumi_embedded.deploy.goal import HOOK_TYPES
from pulumi_embedded.deploy.provider import ProviderError
from pulumi_embedded.properties import Marshal
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import urn_name


@dataclass(frozen=True, slots=True)
class HookCall:
    """What a hook is shown: the resource it is about, its new and old state, and whether the outputs are shown."""

    subject: ResourceState
    new: ResourceState | None = None
    old: ResourceState | None = None
    new_outputs: bool = False
    old_outputs: bool = False


@dataclass(frozen=True, slots=True)
class _Hook:
    callback: callback_pb2.Callback
    on_dry_run: bool
    ignore_errors: bool
    is_error_hook: bool


class Hooks:
    """The hooks that a program registered."""

    def __init__(self, callbacks: Callbacks, emitter: Emitter, *, dry_run: bool) -> None:
        self._callbacks = callbacks
        self._emitter = emitter
        self._dry_run = dry_run
        self._hooks: dict[str, _Hook] = {}

    def register(
        self,
        name: str,
        callback: callback_pb2.Callback,
        *,
        on_dry_run: bool = False,
        ignore_errors: bool = False,
        is_error_hook: bool = False,
    ) -> None:
        """Remember a hook.

        Raises:
            ValueError: it has no name, or its name is taken.
        """
        if not name:
            raise ValueError("resource hook name cannot be empty")
        if name in self._hooks:
            raise ValueError(f'resource hook already registered for name "{name}"')
        self._hooks[name] = _Hook(callback, on_dry_run, ignore_errors, is_error_hook)

    async def run(self, kind: str, call: HookCall) -> None:
        """Run a resource's hooks of one kind ("BeforeCreate", ...), in order.

        Raises:
            ProviderError: a hook failed, or is not registered.
        """
        for name in call.subject.resource_hooks.get(kind, ()):
            hook = self._hooks.get(name)
            if hook is None or hook.is_error_hook:
                raise ProviderError(f'hook "{name}" was not registered')
            if self._dry_run and not hook.on_dry_run:
                continue
            try:
                await self._run_one(hook, call)
            except ProviderError as error:
                if hook.ignore_errors:
                    self._emitter.warning(f'{kind} hook "{name}" failed: {error}', call.subject.urn)
                    continue
                when = "before" if kind.startswith("Before") else "after"
                raise ProviderError(f'{when} hook "{name}" failed: {error}') from None

    async def wants_retry(self, call: HookCall, operation: str, failures: list[str]) -> bool:
        """Run a resource's error hooks and say whether one of them asks for another try.

        Raises:
            ProviderError: a hook failed, or is not registered.
        """
        retry = False
        for name in call.subject.resource_hooks.get("OnError", ()):
            hook = self._hooks.get(name)
            if hook is None or not hook.is_error_hook:
                raise ProviderError(f'error hooks execution failed: error hook "{name}" was not registered')
            shown = _shown(call)
            shown.pop("new_outputs", None)
            request = resource_pb2.ErrorHookRequest(**shown, failed_operation=operation, errors=failures)
            answer = await self._callbacks.invoke(hook.callback, request, resource_pb2.ErrorHookResponse)
            if answer.error:
                raise ProviderError(f'error hooks execution failed: error hook "{name}" failed: {answer.error}')
            retry = retry or answer.retry
        return retry

    async def _run_one(self, hook: _Hook, call: HookCall) -> None:
        request = resource_pb2.ResourceHookRequest(**_shown(call))
        answer = await self._callbacks.invoke(hook.callback, request, resource_pb2.ResourceHookResponse)
        if answer.error:
            raise ProviderError(answer.error)


def _shown(call: HookCall) -> dict[str, Any]:
    marshal = Marshal(outputs=True)
    subject, new, old = call.subject, call.new, call.old
    shown: dict[str, Any] = {
        "urn": subject.urn,
        "id": subject.id,
        "name": urn_name(subject.urn),
        "type": subject.type,
        "new_inputs": marshal.struct(new.inputs) if new else None,
        "old_inputs": marshal.struct(old.inputs) if old else None,
        "new_outputs": marshal.struct(new.outputs) if new and call.new_outputs else None,
        "old_outputs": marshal.struct(old.outputs) if old and call.old_outputs else None,
        "new_options": _options(new) if new else None,
        "old_options": _options(old) if old else None,
    }
    return shown


def _options(state: ResourceState) -> resource_pb2.ResourceOptions:
    options = resource_pb2.ResourceOptions(
        depends_on=state.dependencies,
        ignore_changes=state.ignore_changes,
        replace_on_changes=state.replace_on_changes,
        provider=state.provider,
        deleted_with=state.deleted_with,
        hide_diff=[str(path) for path in state.hide_diff],
        replace_with=state.replace_with,
        parent=state.parent,
        aliases=[alias_pb2.Alias(urn=alias) for alias in state.aliases],
        additional_secret_outputs=state.additional_secret_outputs,
        protect=state.protect,
        retain_on_delete=state.retain_on_delete,
    )
    setattr(options, "import", state.import_id)
    if state.resource_hooks:
        names = {wire: state.resource_hooks.get(kind, []) for wire, kind in HOOK_TYPES.items()}
        options.hooks.CopyFrom(resource_pb2.RegisterResourceRequest.ResourceHooksBinding(**names))
    if any(state.custom_timeouts.values()):
        texts = {key: f"{seconds:g}s" for key, seconds in state.custom_timeouts.items() if seconds}
        options.custom_timeouts.CopyFrom(resource_pb2.RegisterResourceRequest.CustomTimeouts(**texts))
    return options
