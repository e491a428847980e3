"""The `aws` package: configuration, defaults, replace or update; what a type does is in the table."""

from __future__ import annotations

import json
import random
import threading
from importlib.metadata import version
from typing import Any

from providers.aws import functions
from providers.aws.account import DEFAULT_REGION, Account, GoneError, isolate
from providers.aws.kind import Kind
from providers.aws.lifecycle import Lifecycle
from providers.aws.table import kinds
from providers.base.diffing import Change, Difference, difference, same
from providers.base.loopback import require_loopback
from providers.base.provider import Checked, Made, ProviderError, Resource
from providers.base.values import UNKNOWN, Properties, has_unknown, plain

_HEX_DIGITS = 7


class AwsProvider:
    """Serves `aws:*` against an emulated account.

    All provider resources of a stack reach one process, and a call does not say for which of them it is: default tags
    of all are united, and regions may differ only by a resource's own `region`.
    """

    package = "aws"

    def __init__(self, endpoint: str, account: Account | None = None) -> None:
        isolate()
        self.version = version("pulumi_aws")
        if not endpoint and account is None:
            raise ProviderError("the aws provider needs --endpoint, the URL of the emulated account.")
        self._account = account or Account(endpoint)
        self._region = ""
        self._default_tags: dict[str, str] = {}
        self._lock = threading.Lock()

    def check_config(self, config: Properties) -> list[tuple[str, str]]:
        failures = []
        endpoints = _decoded(plain(config).get("endpoints")) or []
        for service, url in ((key, url) for entry in endpoints for key, url in entry.items()):
            try:
                require_loopback(str(url), f"the endpoint of {service}")
            except ProviderError as error:
                failures.append(("endpoints", str(error)))
        return failures

    def configure(self, config: Properties) -> None:
        known = plain(config)
        region = known.get("region") or ""
        tags = (_decoded(known.get("defaultTags")) or {}).get("tags") or {}
        with self._lock:
            if region and self._region and region != self._region:
                raise ProviderError(
                    f"two aws providers with the regions {self._region} and {region}: an emulated stack has one; "
                    "give the resources their own `region` instead."
                )
            differing = [key for key, value in tags.items() if self._default_tags.get(key, value) != value]
            if differing:
                raise ProviderError(
                    f"two aws providers with different default tags ({', '.join(sorted(differing))}): "
                    "an emulated stack has one set of them."
                )
            self._region = region or self._region
            self._default_tags |= {str(key): str(value) for key, value in tags.items()}

    def check(self, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Checked:
        kind = self._kind(resource)
        inputs = {**kind.defaults, **new}
        defaults = [name for name in kind.defaults if name not in new]
        if kind.autoname and kind.autoname not in new and f"{kind.autoname}Prefix" not in new:
            kept = kind.autoname in (old.get("__defaults") or [])
            if not kept and len(resource.name) + 1 + _HEX_DIGITS > kind.name_limit:
                return Checked(inputs, [(kind.autoname, _too_long(resource.name, kind.name_limit))])
            inputs[kind.autoname] = old[kind.autoname] if kept else _named(resource.name, seed)
            defaults.append(kind.autoname)
        inputs["__defaults"] = sorted(defaults)
        return Checked(inputs)

    def diff(self, resource: Resource, old: Properties, state: Properties, new: Properties) -> Difference:
        kind = self._kind(resource)
        # A fixed name is taken as long as the old one is there; one made here is free.
        fixed = bool(kind.autoname) and kind.autoname not in (new.get("__defaults") or [])
        by_value = kind.replaces_when(plain(old), plain(new)) if kind.replaces_when is not None else ()
        forced = (*kind.replaces_on, *by_value, "region")
        found = difference(old, new, replaces_on=forced, ignored={"__defaults"}, delete_first=fixed)
        if not found.changes and not has_unknown(new) and kind.tagging is not None and "tagsAll" in state:
            wanted = {**self._default_tags, **(plain(new).get("tags") or {})}
            if not same(plain(state["tagsAll"]), wanted):
                return Difference([Change("tagsAll", "update")])
        return found

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout_seconds: float) -> Made:
        kind = self._kind(resource)
        if preview:
            outputs = {**dict.fromkeys([*kind.outputs, "arn"], UNKNOWN), **inputs}
            if kind.tagging is not None:
                outputs["tagsAll"] = UNKNOWN
            return Made("", outputs)
        made_id, outputs = self._life(kind, resource, inputs).create(plain(inputs), timeout_seconds)
        return Made(made_id, outputs)

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> Made:
        kind = self._kind(resource)
        try:
            seen = self._life(kind, resource, inputs or state).look(resource.id, plain(inputs), plain(state))
        except GoneError:
            return Made("", {})
        return Made(resource.id, seen.outputs, seen.inputs)

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
        kind = self._kind(resource)
        if preview:
            kept = {name: value for name, value in state.items() if name not in old}
            return {**kept, **new, **({"tagsAll": UNKNOWN} if has_unknown(new.get("tags")) else {})}
        life = self._life(kind, resource, new)
        return life.update(resource.id, plain(old), plain(state), plain(new), timeout_seconds)

    def delete(self, resource: Resource, inputs: Properties, state: Properties, *, timeout_seconds: float) -> None:
        kind = self._kind(resource)
        self._life(kind, resource, inputs or state).delete(resource.id, plain(inputs), plain(state), timeout_seconds)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        return functions.answer(self._account, token, plain(arguments), self._region or DEFAULT_REGION)

    def _kind(self, resource: Resource) -> Kind:
        kind = kinds().get(resource.type)
        if kind is None:
            raise ProviderError(
                f"{resource.urn}: the offline aws provider does not know the type {resource.type}; "
                "providers/README.md lists those it knows, and providers/aws/services/ is where one is added."
            )
        return kind

    def _life(self, kind: Kind, resource: Resource, inputs: Properties) -> Lifecycle:
        region = plain(inputs).get("region") or self._region or DEFAULT_REGION
        return Lifecycle(self._account, kind, resource.urn, region, self._default_tags)


def _too_long(name: str, limit: int) -> str:
    """As the real provider refuses it; it cuts nothing off."""
    return (
        f"is not given, and '{name}-' plus {_HEX_DIGITS} random characters is longer than the {limit} allowed: "
        "give a name, or the resource a shorter one"
    )


def _named(name: str, seed: bytes) -> str:
    """The resource's name with random digits, the same for the same seed, as the real provider names things."""
    digits = random.Random(seed).randbytes(_HEX_DIGITS).hex()[:_HEX_DIGITS]  # noqa: S311 - a name, not a secret
    return f"{name}-{digits}"


def _decoded(value: Any) -> Any:
    """A structured value of the configuration, which comes as JSON text from `pulumi config`."""
    return json.loads(value) if isinstance(value, str) and value else value
