"""`kubernetes:*` resources by server-side apply, with the real provider's names, replacements and waits.

Source: pulumi-kubernetes `provider/pkg/provider/provider.go`, `provider/pkg/await/await.go`.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from kubernetes.dynamic.exceptions import ConflictError, NotFoundError

from providers.base.diffing import Difference, difference
from providers.base.provider import Checked, Made, PartlyMadeError, ProviderError, Resource
from providers.base.values import Properties, Secret, has_unknown, plain
from providers.kubernetes.cluster import (
    Cluster,
    MissingKindError,
    explained,
    kubeconfig_from_environment,
    kubeconfig_text,
)
from providers.kubernetes.comparing import observed
from providers.kubernetes.kinds import Kind, kind_of, replaces_on
from providers.kubernetes.naming import is_autonamed, named, plain_level
from providers.kubernetes.waiting import wait_until_gone, wait_until_ready

FORCE, PROPAGATION = "pulumi.com/patchForce", "pulumi.com/deletionPropagationPolicy"
MANAGER, FIRST_VERSION = "__fieldManager", "__initialApiVersion"
# Another controller may write between our look and our apply; each round takes what it wrote.
CONFLICT_ROUNDS = 8


class KubernetesProvider:
    """Serves `kubernetes:*`.

    Args:
        endpoint: URL of the emulated cluster's API server. Then the file KUBECONFIG names has the credentials, and a
            kubeconfig in the provider's configuration, such as that of the emulated account's EKS, is passed over;
            without it, the configuration's is used.
        cluster: makes the connection of a kubeconfig and an endpoint.
    """

    package = "kubernetes"

    def __init__(self, endpoint: str = "", cluster: Callable[[str, str], Cluster] = Cluster) -> None:
        self.version = version("pulumi_kubernetes")
        self._endpoint, self._connect = endpoint, cluster
        self._connections: dict[str, Cluster] = {}
        self._config: Properties = {}
        self._lock = threading.Lock()

    def check_config(self, config: Properties) -> list[tuple[str, str]]:
        # With an endpoint it is known which cluster is meant, whatever a kubeconfig of the person's own says.
        unsupported = ("renderYamlToDirectory", *(() if self._endpoint else ("context", "cluster")))
        return [(name, "is not supported by the offline provider") for name in unsupported if name in config]

    def configure(self, config: Properties) -> None:
        self._config = plain(config)

    def check(self, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Checked:
        kind = kind_of(resource, new)
        inputs = named({**new, "apiVersion": kind.api_version, "kind": kind.kind}, old, resource.name, seed)
        metadata = plain_level(inputs.get("metadata"))
        if metadata.get("generateName") is not None:
            return Checked(inputs, [("metadata.generateName", "cannot be applied by a server: give a name, or none")])
        default = self._config.get("namespace")
        if default and metadata.get("namespace") is None and self._cluster().namespaced(kind):
            inputs = {**inputs, "metadata": {**metadata, "namespace": default}}
        return Checked(inputs)

    def diff(self, resource: Resource, old: Properties, state: Properties, new: Properties) -> Difference:
        kind = kind_of(resource, new)
        same_object = _identity(plain(old)) == _identity(plain(new))
        found = difference(
            old,
            new,
            replaces_on=replaces_on(kind, new, self._config),
            delete_first=same_object and not is_autonamed(new),
        )
        ignored = tuple(resource.ignored)
        changes = [change for change in found.changes if not _within(change.path, ignored)]
        return Difference(changes, found.delete_first and any(change.replaces for change in changes))

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout_seconds: float) -> Made:
        kind, manager = kind_of(resource, inputs), _manager(resource)
        if preview:
            return Made("", self._planned(resource, kind, inputs, manager))
        manifest = plain(inputs)
        with explained(resource.urn, "make"):
            if self._cluster().get(kind, _name(manifest), _namespace(manifest)) is not None:
                raise ProviderError(
                    f"{resource.urn}: {kind.kind} {_id(manifest)} exists already and is not this stack's: "
                    "import it, or give this one another name."
                )
            live = self._cluster().apply(kind, manifest, manager, force=_forced(manifest))
        return Made(_id(live), self._ready(resource, kind, live, manager, timeout_seconds))

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> Made:
        kind = kind_of(resource, state or inputs)
        namespace, _, name = resource.id.rpartition("/")
        with explained(resource.urn, "show"):
            live = self._cluster().get(kind, name, namespace)
        if live is None:
            return Made("", {})
        outputs = _outputs(kind, live, str(state.get(MANAGER) or _manager(resource)))
        shape = plain(inputs) or _imported(kind, live)
        return Made(resource.id, outputs, observed(shape, live))

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
        kind, manager = kind_of(resource, new), str(state.get(MANAGER) or _manager(resource))
        if preview:
            return {**state, **self._planned(resource, kind, new, manager)}
        with explained(resource.urn, "change"):
            live = self._apply_keeping(kind, plain(new), manager, tuple(resource.ignored))
        return self._ready(resource, kind, live, manager, timeout_seconds)

    def delete(self, resource: Resource, inputs: Properties, state: Properties, *, timeout_seconds: float) -> None:
        kind = kind_of(resource, state or inputs)
        namespace, _, name = resource.id.rpartition("/")
        annotations = plain_level(plain_level(plain(state).get("metadata")).get("annotations"))
        propagation = str(annotations.get(PROPAGATION, "Foreground")).capitalize()
        with explained(resource.urn, "delete"):
            self._cluster().delete(kind, name, namespace, propagation)
            kept = wait_until_gone(self._cluster(), kind, name, namespace, timeout_seconds)
        if kept:
            raise ProviderError(f"{resource.urn}: {kind.kind} {resource.id} was not deleted: {kept}.")

    def invoke(self, token: str, arguments: Properties) -> Properties:
        raise ProviderError(f"the offline kubernetes provider has no function {token}: declare the objects instead.")

    def _cluster(self) -> Cluster:
        text = kubeconfig_from_environment() if self._endpoint else kubeconfig_text(self._config.get("kubeconfig", ""))
        if not text:
            raise ProviderError("the kubernetes provider has no kubeconfig: give it in the provider's configuration.")
        with self._lock:
            if text not in self._connections:
                self._connections[text] = self._connect(text, self._endpoint)
            return self._connections[text]

    def _planned(self, resource: Resource, kind: Kind, inputs: Properties, manager: str) -> Properties:
        """What is known of an object before it is applied: the server's own answer, where it can give one."""
        if has_unknown(inputs):
            return dict(inputs)
        manifest = plain(inputs)
        with explained(resource.urn, "plan"):
            there = self._cluster().get(kind, _name(manifest), _namespace(manifest)) is not None
            # What is replaced under its own name is there still, and cannot be planned on top of itself.
            if there and not resource.id:
                return dict(inputs)
            # Its namespace or its kind may be made in the same update.
            with contextlib.suppress(NotFoundError, MissingKindError):
                self._cluster().apply(kind, manifest, manager, dry_run=True, force=True)
        return dict(inputs)

    def _apply_keeping(self, kind: Kind, manifest: Properties, manager: str, ignored: tuple[str, ...]) -> Properties:
        """Apply with what others may own as it is now: ignored properties are never set back."""
        for attempt in range(CONFLICT_ROUNDS):
            kept = copy.deepcopy(manifest)
            live = self._cluster().get(kind, _name(manifest), _namespace(manifest)) if ignored else None
            for path in ignored:
                _copy(path.split("."), live or {}, kept)
            try:
                return self._cluster().apply(kind, kept, manager, force=_forced(manifest))
            except ConflictError:
                if not ignored or attempt == CONFLICT_ROUNDS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _ready(
        self, resource: Resource, kind: Kind, live: Properties, manager: str, timeout_seconds: float
    ) -> Properties:
        """The outputs of an object once it is ready.

        Raises:
            PartlyMadeError: it is there and did not become ready.
        """
        cluster = self._cluster()
        with explained(resource.urn, "show"):
            live, found = wait_until_ready(cluster, kind, live, timeout_seconds)
            outputs = _outputs(kind, live, manager)
            if found.ready:
                return outputs
            said = cluster.events(live["metadata"].get("namespace", ""), live["metadata"]["name"])
        sentence = f"{resource.urn}: {kind.kind} {_id(live)} is not ready: {found.told.rstrip('.')}."
        raise PartlyMadeError(" ".join([sentence, *dict.fromkeys(said[-3:])]), _id(live), outputs)


def _identity(manifest: Properties) -> tuple[Any, ...]:
    metadata = manifest.get("metadata") or {}
    return manifest.get("apiVersion"), manifest.get("kind"), metadata.get("namespace"), metadata.get("name")


def _name(manifest: Properties) -> str:
    return str(manifest["metadata"]["name"])


def _namespace(manifest: Properties) -> str:
    return str(manifest["metadata"].get("namespace") or "")


def _id(manifest: Properties) -> str:
    namespace = _namespace(manifest)
    return f"{namespace}/{_name(manifest)}" if namespace else _name(manifest)


def _manager(resource: Resource) -> str:
    # One manager a resource, as the real provider has it, so that two stacks' fields are told apart.
    return f"pulumi-kubernetes-{hashlib.sha256(resource.urn.encode()).hexdigest()[:8]}"


def _forced(manifest: Properties) -> bool:
    return (manifest["metadata"].get("annotations") or {}).get(FORCE) == "true"


def _outputs(kind: Kind, live: Properties, manager: str) -> Properties:
    outputs = copy.deepcopy(live)
    outputs["metadata"].pop("managedFields", None)
    if kind.kind == "Secret":
        outputs = {key: Secret(value) if key in ("data", "stringData") else value for key, value in outputs.items()}
    return {**outputs, MANAGER: manager, FIRST_VERSION: kind.api_version}


def _imported(kind: Kind, live: Properties) -> Properties:
    """Inputs of an object that is imported: what it has, but for what only the server writes."""
    metadata = {
        key: live["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in live["metadata"]
    }
    rest = {key: value for key, value in live.items() if key not in ("metadata", "status")}
    return {**rest, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def _within(path: str, ignored: tuple[str, ...]) -> bool:
    return any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in ignored)


def _copy(path: list[str], source: Properties, target: Properties) -> None:
    """Set the value at `path` of `target` to that of `source`, or take it away where `source` has none."""
    for name in path[:-1]:
        source = source.get(name) if isinstance(source.get(name), dict) else {}  # type: ignore[assignment]
        if not isinstance(target.get(name), dict):
            return
        target = target[name]
    if path[-1] in source:
        target[path[-1]] = source[path[-1]]
    else:
        target.pop(path[-1], None)
