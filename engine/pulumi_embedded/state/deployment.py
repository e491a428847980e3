"""A deployment: the resources of a stack as the CLI's version-3 (and feature-bearing version-4) JSON.

Reading is in two steps, so that commands that only look at names never need the passphrase: `Deployment` keeps the JSON
as it stands on disk; `open_states` and `seal_states` turn its resources into `ResourceState`s and back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pulumi_embedded.errors import StateError, UnsupportedError
from pulumi_embedded.state.resource import ResourceState, check_shape
from pulumi_embedded.state.sealing import BYTE_STRING_SIG, SIG, Sealer
from pulumi_embedded.urn import ROOT_STACK_TYPE, is_provider_type, is_urn, provider_reference
from pulumi_embedded.version import CLI_VERSION

PASSPHRASE_PROVIDER = "passphrase"  # noqa: S105 - the provider's name
_OLDEST, _PLAIN, _WITH_FEATURES = 3, 3, 4
_FEATURES = {"refreshBeforeUpdate", "hooks", "taint", "replaceWith", "byteString"}
"""Features of version 4 that this engine understands; others are refused when the state is read."""

Operation = tuple[str, ResourceState]
"""A pending operation: `creating`, `updating`, `deleting` or `reading`, and the state it started from."""


@dataclass(slots=True)
class Deployment:
    """One deployment as on disk: secrets sealed, unknown keys kept."""

    manifest: dict[str, Any] = field(default_factory=dict)
    resources: list[dict[str, Any]] = field(default_factory=list)
    pending_operations: list[dict[str, Any]] = field(default_factory=list)
    secrets_providers: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Any, version: Any, features: Any = None) -> Deployment:
        """Read the `deployment` (or `latest`) object of a file.

        Raises:
            StateError: the version or the form is not one this engine reads.
            UnsupportedError: the deployment uses a feature outside the contract.
        """
        _check_version(version, features)
        if data is None:
            return cls()
        if not isinstance(data, dict):
            raise StateError("the deployment is damaged: it is not a JSON object")
        known = {"manifest", "resources", "pending_operations", "secrets_providers", "metadata"}
        deployment = cls(
            manifest=_object(data, "manifest"),
            resources=_objects(data, "resources"),
            pending_operations=_objects(data, "pending_operations"),
            secrets_providers=_object(data, "secrets_providers") or None,
            metadata=_object(data, "metadata"),
            extra={key: value for key, value in data.items() if key not in known},
        )
        for resource in deployment.resources:
            check_shape(resource)
        for operation in deployment.pending_operations:
            if isinstance(operation.get("resource"), dict):
                check_shape(operation["resource"])
        if deployment.extra.get("snippets"):
            raise UnsupportedError("a stack with snippets")
        return deployment

    def to_json(self) -> dict[str, Any]:
        """Return the deployment in the CLI's order of keys."""
        data: dict[str, Any] = {"manifest": self.manifest}
        if self.secrets_providers:
            data["secrets_providers"] = self.secrets_providers
        if self.resources:
            data["resources"] = self.resources
        if self.pending_operations:
            data["pending_operations"] = self.pending_operations
        data["metadata"] = self.metadata
        data.update(self.extra)
        return data

    def features(self) -> list[str]:
        """Return the features that this deployment's resources use, which decide the version it is written with."""
        used: set[str] = set()
        for resource in [*self.resources, *(operation.get("resource", {}) for operation in self.pending_operations)]:
            used.update(
                feature
                for feature, key in (
                    ("refreshBeforeUpdate", "refreshBeforeUpdate"),
                    ("hooks", "resourceHooks"),
                    ("taint", "taint"),
                    ("replaceWith", "replaceWith"),
                    ("views", "viewOf"),
                )
                if resource.get(key)
            )
            if _holds_byte_string(resource.get("inputs")) or _holds_byte_string(resource.get("outputs")):
                used.add("byteString")
        return sorted(used)

    def envelope(self, key: str = "deployment") -> dict[str, Any]:
        """Return `{"version", "features"?, <key>}` as `stack export` prints it."""
        features = self.features()
        head: dict[str, Any] = {"version": _WITH_FEATURES if features else _PLAIN}
        if features:
            head["features"] = features
        return {**head, key: self.to_json()}

    def root_stack(self) -> dict[str, Any] | None:
        """Return the root stack resource, whose outputs are the stack's."""
        for resource in self.resources:
            if resource.get("type") == ROOT_STACK_TYPE and not resource.get("parent"):
                return resource
        return None


def new_manifest(time: str) -> dict[str, Any]:
    """Return the manifest of a deployment written now; `time` is RFC 3339, the magic proves the version's text."""
    version = f"v{CLI_VERSION}"
    return {"time": time, "magic": hashlib.sha256(version.encode()).hexdigest(), "version": version}


def open_states(deployment: Deployment, sealer: Sealer) -> tuple[list[ResourceState], list[Operation]]:
    """Return the resources and pending operations with their secrets readable.

    Raises:
        SecretsError: a secret cannot be decrypted.
        StateError: a resource is damaged.
    """
    states = [open_state(resource, sealer) for resource in deployment.resources]
    pending: list[Operation] = []
    for operation in deployment.pending_operations:
        if not isinstance(operation.get("resource"), dict):
            raise StateError("a pending operation in the state has no resource")
        pending.append((str(operation.get("type", "")), open_state(operation["resource"], sealer)))
    return states, pending


def open_state(data: dict[str, Any], sealer: Sealer) -> ResourceState:
    """Return one resource with its secrets readable."""
    urn = str(data.get("urn", ""))
    opened = dict(data)
    for key in ("inputs", "outputs", "replacementTrigger"):
        if opened.get(key) is not None:
            opened[key] = sealer.open(opened[key], f"{urn}.{key}")
    return ResourceState.from_json(opened)


def seal_state(state: ResourceState, sealer: Sealer, *, show: bool = False) -> dict[str, Any]:
    """Return one resource as it goes to disk."""
    data = state.to_json()
    for key in ("inputs", "outputs", "replacementTrigger"):
        if data.get(key) is not None:
            data[key] = sealer.seal(data[key], f"{state.urn}.{key}", show=show)
    return data


def seal_states(
    deployment: Deployment,
    states: Iterable[ResourceState],
    pending: Iterable[Operation],
    sealer: Sealer,
    time: str,
    *,
    show: bool = False,
) -> Deployment:
    """Return `deployment` with these resources and operations in place of its own, and a manifest of `time`."""
    return Deployment(
        manifest=new_manifest(time),
        resources=[seal_state(state, sealer, show=show) for state in states],
        pending_operations=[
            {"resource": seal_state(state, sealer, show=show), "type": kind} for kind, state in pending
        ],
        secrets_providers=deployment.secrets_providers,
        metadata={},
        extra=deployment.extra,
    )


def verify_integrity(deployment: Deployment) -> None:
    """Check what both engines rely on: unique names, and parents, providers and dependencies before their dependents.

    Raises:
        StateError: the deployment breaks one of these rules.
    """
    seen: dict[str, int] = {}
    providers: set[str] = set()
    for resource in deployment.resources:
        urn = str(resource.get("urn") or "")
        if not urn or not resource.get("type"):
            raise StateError(f"resource '{urn or '?'}' in the state has no urn or no type")
        if not is_urn(urn):
            raise StateError(f"resource '{urn}' in the state has a name that is no URN")
        if is_provider_type(str(resource["type"])):
            providers.add(provider_reference(urn, str(resource.get("id", ""))))
        reference = resource.get("provider")
        if reference and reference not in providers and not resource.get("pendingReplacement"):
            raise StateError(f"resource {urn} refers to unknown provider {reference}")
        _check_references(resource, urn, seen)
        if resource.get("delete"):
            seen.setdefault(urn, 0)
        else:
            seen[urn] = seen.get(urn, 0) + 1
            if seen[urn] > 1:
                raise StateError(f"duplicate resource {urn} (not marked for deletion)")


def _check_references(resource: dict[str, Any], urn: str, seen: dict[str, int]) -> None:
    references: list[tuple[str, str]] = [("dependency", urn_) for urn_ in resource.get("dependencies") or []]
    for dependencies in (resource.get("propertyDependencies") or {}).values():
        references += [("property dependency", dependency) for dependency in dependencies or []]
    if resource.get("parent"):
        references.append(("parent", resource["parent"]))
    if resource.get("deletedWith"):
        references.append(("deleted-with resource", resource["deletedWith"]))
    for kind, other in references:
        if other not in seen:
            raise StateError(f"resource {urn} refers to {kind} {other}, which is missing or comes after it")


def _check_version(version: Any, features: Any) -> None:
    if not isinstance(version, int) or isinstance(version, bool):
        raise StateError("the deployment has no version number")
    if version < _OLDEST:
        raise StateError(
            f"the deployment has version {version}, too old for this engine; run `pulumi state upgrade` with the CLI"
        )
    if version > _WITH_FEATURES:
        raise StateError(f"the deployment has version {version}, newer than this engine understands; update it")
    unknown = sorted(str(feature) for feature in features or [] if feature not in _FEATURES)
    if version == _WITH_FEATURES and unknown:
        raise UnsupportedError(f"a deployment that needs the features {', '.join(unknown)}")


def _object(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise StateError(f"the deployment is damaged: '{key}' is not an object")
    return value


def _objects(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise StateError(f"the deployment is damaged: '{key}' is not a list of objects")
    return value


def _holds_byte_string(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get(SIG) == BYTE_STRING_SIG or any(_holds_byte_string(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_byte_string(item) for item in value)
    return False


def parse_json(text: bytes, what: str) -> Any:
    """Parse JSON that came from outside.

    Raises:
        StateError: it is no JSON, or nested too deep to be one of ours.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StateError(f"{what} is not valid JSON ({str(error)[:200]})") from None
