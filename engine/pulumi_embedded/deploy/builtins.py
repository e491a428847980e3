"""The builtin provider of package `pulumi`: stack references, stashes and look-ups of this deployment's own resources.

Source: pulumi `pkg/resource/deploy/builtins.go`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pulumi_embedded.deploy.diffing import NONE, SOME, DiffResult
from pulumi_embedded.deploy.provider import (
    STATUS_UNKNOWN,
    CheckFailure,
    CheckResult,
    DiffRequest,
    InvokeResult,
    ProviderError,
    ReadResult,
    UpdateCall,
)
from pulumi_embedded.errors import EngineError
from pulumi_embedded.properties import Properties, contains_secrets, deep_equals, is_unknown, unwrap_secret
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import urn_type

STACK_REFERENCE = "pulumi:pulumi:StackReference"
STASH = "pulumi:index:Stash"
_ONLY_INPUT = {STACK_REFERENCE: "name", STASH: "input"}

ReadOutputs = Callable[[str], dict[str, Any]]


class BuiltinProvider:
    """Answers for package `pulumi`.

    `resources` are this deployment's, as they are registered and read; `read_outputs` reads another stack's outputs.
    """

    def __init__(self, resources: Mapping[str, ResourceState], read_outputs: ReadOutputs | None) -> None:
        self._resources = resources
        self._read_outputs = read_outputs

    async def check(
        self, urn: str, olds: Properties | None, news: Properties, *, allow_unknowns: bool, seed: bytes
    ) -> CheckResult:
        """Validate the one input that each of these types has."""
        name = self._input(urn)
        extra = next((key for key in news if key != name), None)
        if extra is not None:
            return CheckResult({}, [CheckFailure(extra, f'unknown property "{extra}"')])
        if name not in news:
            return CheckResult({}, [CheckFailure(name, f'missing required property "{name}"')])
        if name == "name" and not isinstance(news[name], str):
            return CheckResult({}, [CheckFailure("name", 'property "name" must be a string')])
        return CheckResult(news)

    async def diff(self, request: DiffRequest) -> DiffResult:
        """A stack reference is replaced when its name changes, a stash is updated."""
        name = self._input(request.urn)
        if deep_equals(request.new_inputs.get(name), request.old_inputs.get(name)):
            return DiffResult(changes=NONE)
        if name == "name":
            return DiffResult(changes=SOME, replace_keys=[name])
        return DiffResult(changes=SOME, changed_keys=[name])

    async def create(self, urn: str, inputs: Properties, *, timeout: float, preview: bool) -> ReadResult:  # noqa: ASYNC109
        """Read the other stack, or keep the value."""
        resource_id = "" if preview else str(uuid.uuid4())
        if self._input(urn) == "name":
            return ReadResult(resource_id, self._stack_outputs(inputs))
        return ReadResult(resource_id, {"input": inputs.get("input"), "output": inputs.get("input")})

    async def update(self, call: UpdateCall) -> ReadResult:
        """A stash keeps its first output whatever its input becomes."""
        outputs = {"input": call.new_inputs.get("input"), "output": call.old_outputs.get("output")}
        return ReadResult(call.id, outputs)

    async def read(
        self,
        urn: str,
        resource_id: str,
        inputs: Properties | None,
        state: Properties | None,
        *,
        timeout: float,  # noqa: ASYNC109 - part of the protocol
    ) -> ReadResult:
        """Read the other stack again."""
        if not inputs:
            kind = "stack reference" if self._input(urn) == "name" else "stash"
            raise ProviderError(f"{kind} can not be imported", STATUS_UNKNOWN)
        if self._input(urn) == "name":
            return ReadResult(resource_id, self._stack_outputs(state or inputs), inputs)
        return ReadResult(resource_id, state, inputs)

    async def delete(
        self,
        urn: str,
        resource_id: str,
        inputs: Properties,
        outputs: Properties,
        *,
        timeout: float,  # noqa: ASYNC109 - part of the protocol
    ) -> None:
        """Nothing exists outside the state."""

    async def invoke(self, token: str, arguments: Properties, *, preview: bool) -> InvokeResult:
        """Look up a resource of this deployment, or another stack's outputs."""
        if token == "pulumi:pulumi:getResource":  # noqa: S105
            return InvokeResult(self._get_resource(str(unwrap_secret(arguments.get("urn")))))
        if token == "pulumi:pulumi:readStackOutputs":  # noqa: S105
            return InvokeResult(self._stack_outputs(arguments))
        raise ProviderError(f"unrecognized function name: '{token}'")

    async def construct(self, request: Any, inputs: Properties) -> Any:
        """The builtin provider has no components."""
        raise ProviderError(f"unrecognized component type: '{request.type}'")

    async def call(self, request: Any, arguments: Properties) -> Any:
        """The builtin provider has no methods."""
        raise ProviderError(f"unrecognized method name: '{request.tok}'")

    async def check_config(self, urn: str, olds: Properties, news: Properties) -> CheckResult:
        """The builtin provider has no configuration."""
        return CheckResult({})

    async def diff_config(
        self,
        urn: str,
        old_inputs: Properties,
        old_outputs: Properties,
        new_inputs: Properties,
        ignore_changes: list[str],
    ) -> DiffResult:
        """The builtin provider has no configuration."""
        return DiffResult(changes=NONE)

    def configure(self, urn: str, provider_id: str, inputs: Properties) -> None:
        """The builtin provider has no configuration."""

    async def cancel(self) -> None:
        """Nothing of it takes time."""

    async def close(self) -> None:
        """It is part of the engine."""

    @staticmethod
    def _input(urn: str) -> str:
        kind = urn_type(urn)
        if kind not in _ONLY_INPUT:
            raise ProviderError(f"unrecognized resource type '{kind}'")
        return _ONLY_INPUT[kind]

    def _stack_outputs(self, inputs: Properties) -> Properties:
        name = unwrap_secret(inputs.get("name"))
        if not isinstance(name, str) or is_unknown(name):
            raise ProviderError("the name of a stack reference must be known before the stack can be read")
        if self._read_outputs is None:
            raise ProviderError("other stacks cannot be read here")
        try:
            outputs = self._read_outputs(name)
        except EngineError as error:
            raise ProviderError(str(error), STATUS_UNKNOWN) from None
        secret_names = sorted(key for key, value in outputs.items() if contains_secrets(value))
        return {"name": name, "outputs": outputs, "secretOutputNames": secret_names}

    def _get_resource(self, urn: str) -> Properties:
        state = self._resources.get(urn)
        if state is None:
            raise ProviderError(f"unknown resource {urn}")
        return {"urn": urn, "id": state.id, "provider": state.provider, "state": state.outputs}
