"""`pulumi import`: brings resources that exist under management, without a program.

Source: pulumi `pkg/resource/deploy/import.go`.
"""

from __future__ import annotations

from dataclasses import replace

from pulumi_embedded.deploy.default_providers import DefaultProviders, PackageRequest
from pulumi_embedded.deploy.deployment import Deployment
from pulumi_embedded.deploy.goal import Goal
from pulumi_embedded.deploy.plan import FailedError
from pulumi_embedded.deploy.provider import ProviderError
from pulumi_embedded.deploy.read_steps import ImportStep
from pulumi_embedded.deploy.request import ImportSpec
from pulumi_embedded.deploy.step_base import Registration, Step
from pulumi_embedded.deploy.steps import CreateStep, SameStep
from pulumi_embedded.errors import EngineError
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import PROVIDER_TYPE_PREFIX, ROOT_STACK_TYPE, is_provider_type, provider_reference


class Importer:
    """Imports the resources of one request."""

    def __init__(self, deployment: Deployment, defaults: DefaultProviders) -> None:
        self._deployment = deployment
        self._defaults = defaults

    async def run(self) -> None:
        """Import everything, parents first.

        Raises:
            FailedError: something could not be imported, and why has been told.
        """
        deployment = self._deployment
        deployment.executor.ignore_errors = True
        try:
            await self._import()
        except (EngineError, ProviderError, ValueError) as error:
            raise FailedError(f"failed: {error}") from None
        if deployment.executor.error is not None:
            raise FailedError("failed")

    async def _import(self) -> None:
        deployment = self._deployment
        for state in deployment.previous:
            if not state.delete:
                await self._execute(SameStep(deployment, None, state, replace(state, id="")))
        stack, created = await self._stack()
        providers = await self._providers()
        steps: dict[str, ImportStep] = {}
        for spec in deployment.options.imports:
            if is_provider_type(spec.type):
                continue
            step = self._step(spec, stack, providers)
            if step.urn in steps:
                raise EngineError(f"duplicate import '{spec.name}' of type '{spec.type}'")
            old = deployment.olds.get(step.urn)
            if old is None or (old.import_id or old.id) != spec.id:
                steps[step.urn] = step
        while steps and deployment.executor.error is None:
            ready = [step for step in steps.values() if step.resource.parent not in steps]
            for step in ready:
                del steps[step.urn]
            await deployment.executor.run_all(ready)
        if created and deployment.executor.error is None:
            await deployment.executor.register_outputs(stack, {})
            await deployment.executor.finish_stack_outputs(failed=False)

    async def _execute(self, step: Step) -> None:
        await self._deployment.executor.run([step])
        if self._deployment.executor.error is not None:
            raise FailedError("failed")

    async def _stack(self) -> tuple[str, bool]:
        """Return the URN of the root stack resource, made if the stack has none yet, and whether it was."""
        deployment = self._deployment
        for state in deployment.previous:
            if state.type == ROOT_STACK_TYPE and not state.parent:
                return state.urn, False
        name = f"{deployment.project}-{deployment.stack}"
        urn = deployment.make_urn("", ROOT_STACK_TYPE, name)
        await self._execute(CreateStep(deployment, None, ResourceState(urn=urn, type=ROOT_STACK_TYPE)))
        return urn, True

    async def _providers(self) -> dict[str, str]:
        """Return the references of the providers that the imports name or need, by URN; missing ones are made."""
        deployment = self._deployment
        references: dict[str, str] = {}
        for spec in deployment.options.imports:
            if is_provider_type(spec.type) or (spec.component and not spec.remote):
                continue
            urn = spec.provider or self._default_urn(spec)
            if urn in references:
                continue
            old = deployment.olds.get(urn)
            if old is not None:
                references[urn] = provider_reference(urn, old.id)
            elif spec.provider:
                raise EngineError(f"the provider '{spec.provider}' of '{spec.name}' is not in the state")
            else:
                references[urn] = await self._make_default(spec)
        return references

    async def _make_default(self, spec: ImportSpec) -> str:
        deployment = self._deployment
        request = self._package(spec)
        inputs = self._defaults.package_config(request.package)
        if request.version:
            inputs |= {"version": request.version, "__internal": {}}
        goal = Goal(PROVIDER_TYPE_PREFIX + request.package, request.default_name, custom=True, properties=inputs)
        registration = Registration()
        await deployment.register(goal, registration)
        if not registration.answer.done():
            raise EngineError(f"the provider of '{spec.type}' cannot be loaded")
        state = registration.answer.result().state
        return provider_reference(state.urn, state.id)

    @staticmethod
    def _package(spec: ImportSpec) -> PackageRequest:
        return PackageRequest(spec.type.partition(":")[0], spec.version, spec.plugin_download_url)

    def _default_urn(self, spec: ImportSpec) -> str:
        request = self._package(spec)
        return self._deployment.make_urn("", PROVIDER_TYPE_PREFIX + request.package, request.default_name)

    def _step(self, spec: ImportSpec, stack: str, providers: dict[str, str]) -> ImportStep:
        parent = spec.parent or stack
        urn = self._deployment.make_urn(parent, spec.type, spec.name)
        needs_provider = not spec.component or spec.remote
        new = ResourceState(
            urn=urn,
            type=spec.type,
            custom=not spec.component,
            parent=parent,
            protect=spec.protect,
            provider=providers[spec.provider or self._default_urn(spec)] if needs_provider else "",
            import_id=spec.id,
        )
        return ImportStep(self._deployment, None, new, planned=True, properties=spec.properties)
