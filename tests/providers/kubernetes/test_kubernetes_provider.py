"""The provider without a cluster: names, replacements, what it refuses, and where it refuses to go."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from providers.base.provider import PartlyMadeError, ProviderError, Resource
from providers.base.values import UNKNOWN, Properties, Secret
from providers.kubernetes.cluster import Cluster, kubeconfig_of
from providers.kubernetes.comparing import observed, same_value
from providers.kubernetes.kinds import Kind
from providers.kubernetes.provider import KubernetesProvider
from providers.kubernetes.waiting import State, state_of, wait_until_ready

DEPLOYMENT = Resource("urn:pulumi:s::p::kubernetes:apps/v1:Deployment::web", "kubernetes:apps/v1:Deployment", "web")
CONFIG_MAP = Resource("urn:pulumi:s::p::kubernetes:core/v1:ConfigMap::table", "kubernetes:core/v1:ConfigMap", "table")
KUBECONFIG = kubeconfig_of("https://127.0.0.1:6443", b"certificate", "token")


class Held:
    """A cluster that holds objects in memory; apply merges, as far as a test looks."""

    def __init__(self, *_: str) -> None:
        self.objects: dict[tuple[str, str, str], Properties] = {}
        self.applied: list[tuple[Properties, bool]] = []
        self.grows: dict[str, Any] = {}

    def get(self, kind: Kind, name: str, namespace: str) -> Properties | None:
        return copy.deepcopy(self.objects.get((kind.kind, namespace, name)))

    def apply(
        self, kind: Kind, manifest: Properties, manager: str, *, dry_run: bool = False, force: bool = False
    ) -> Any:
        self.applied.append((manifest, dry_run))
        metadata = manifest["metadata"]
        live = {**copy.deepcopy(manifest), **self.grows}
        live["metadata"] = {**metadata, "uid": "u", "managedFields": [{"manager": manager}]}
        if not dry_run:
            self.objects[kind.kind, metadata.get("namespace", ""), metadata["name"]] = live
        return live

    def delete(self, kind: Kind, name: str, namespace: str, propagation: str) -> None:
        self.objects.pop((kind.kind, namespace, name), None)

    def namespaced(self, kind: Kind) -> bool:
        return True

    def events(self, namespace: str, name: str) -> list[str]:
        return ["0/3 nodes are available"]


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def provider(held: Held) -> KubernetesProvider:
    made = KubernetesProvider(cluster=lambda *_: held)  # type: ignore[arg-type]
    made.configure({"kubeconfig": KUBECONFIG, "enableConfigMapMutable": "true"})
    return made


def _named(name: str, **more: Any) -> Properties:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "n"}, **more}


def test_a_name_is_made_once_and_marked(provider: KubernetesProvider) -> None:
    first = provider.check(CONFIG_MAP, {}, {"data": {"a": "1"}}, b"seed").inputs
    name = first["metadata"]["name"]
    assert name.startswith("table-")
    assert len(name) == len("table-") + 8
    assert first["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert (first["apiVersion"], first["kind"]) == ("v1", "ConfigMap")
    assert provider.check(CONFIG_MAP, {}, {}, b"seed").inputs["metadata"]["name"] == name
    assert provider.check(CONFIG_MAP, {}, {}, b"other").inputs["metadata"]["name"] != name
    assert provider.check(CONFIG_MAP, first, {"data": {"a": "2"}}, b"third").inputs["metadata"]["name"] == name
    given = {"metadata": {"name": "fixed"}}
    assert provider.check(CONFIG_MAP, first, given, b"s").inputs["metadata"] == {"name": "fixed"}


def test_a_name_that_is_not_known_yet_is_a_name(provider: KubernetesProvider) -> None:
    assert provider.check(CONFIG_MAP, {}, {"metadata": {"name": UNKNOWN}}, b"s").inputs["metadata"] == {"name": UNKNOWN}


@pytest.mark.parametrize(
    ("kind", "path", "replaced"),
    [
        ("apps/v1:Deployment", ("spec", "selector"), True),
        ("apps/v1:Deployment", ("spec", "replicas"), False),
        ("batch/v1:Job", ("spec", "template"), True),
        ("batch/v1:CronJob", ("spec", "schedule"), False),
        ("core/v1:Service", ("spec", "clusterIP"), True),
        ("core/v1:Service", ("spec", "ports"), False),
        ("core/v1:Secret", ("type",), True),
        ("core/v1:Secret", ("data",), True),
        ("core/v1:ConfigMap", ("data",), False),
        ("rbac.authorization.k8s.io/v1:RoleBinding", ("roleRef",), True),
        ("rbac.authorization.k8s.io/v1:RoleBinding", ("subjects",), False),
        ("policy/v1:PodDisruptionBudget", ("spec",), False),
        ("apps/v1:Deployment", ("metadata", "labels"), False),
        ("apps/v1:Deployment", ("metadata", "namespace"), True),
    ],
)
def test_what_replaces_is_what_the_real_provider_replaces(
    provider: KubernetesProvider, kind: str, path: tuple[str, ...], replaced: bool
) -> None:
    resource = Resource(f"urn:pulumi:s::p::kubernetes:{kind}::x", f"kubernetes:{kind}", "x")

    def inputs(value: Any) -> Properties:
        nested: Any = value
        for name in reversed(path):
            nested = {name: nested}
        checked = provider.check(resource, {}, {"metadata": {"name": "x"}}, b"").inputs
        return {**checked, **nested, "metadata": {**checked["metadata"], **nested.get("metadata", {})}}

    found = provider.diff(resource, inputs({"a": "1"}), {}, inputs({"a": "2"}))
    assert [change.replaces for change in found.changes] == [replaced]
    # Under the same name there is no place for both.
    assert found.delete_first == (replaced and path != ("metadata", "namespace"))


def test_a_new_name_is_made_beside_the_old_one(provider: KubernetesProvider) -> None:
    found = provider.diff(DEPLOYMENT, _named("a"), {}, _named("b"))
    assert [(change.path, change.replaces) for change in found.changes] == [("metadata.name", True)]
    assert not found.delete_first


def test_what_the_provider_named_is_replaced_beside_the_old_one(provider: KubernetesProvider) -> None:
    annotated = {"name": "web-1", "annotations": {"pulumi.com/autonamed": "true"}}
    old, new = ({**_named("web-1", spec={"selector": value}), "metadata": annotated} for value in ("a", "b"))
    assert not provider.diff(DEPLOYMENT, old, {}, new).delete_first


def test_ignored_changes_are_none_and_keep_what_is_there(provider: KubernetesProvider, held: Held) -> None:
    ignoring = Resource(DEPLOYMENT.urn, DEPLOYMENT.type, "web", "n/web", ("spec.replicas",))
    old, new = _named("web", spec={"replicas": 3, "paused": True}), _named("web", spec={"replicas": 2, "paused": True})
    assert provider.diff(ignoring, old, {}, new).changes == []
    held.objects["Deployment", "n", "web"] = _named("web", spec={"replicas": 7})
    conditions = [
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        {"type": "Available", "status": "True"},
    ]
    counts = {"updatedReplicas": 7, "availableReplicas": 7, "replicas": 7}
    held.grows = {"status": {"observedGeneration": 1, "conditions": conditions, **counts}}
    resumed = _named("web", spec={"replicas": 2, "paused": False})
    provider.update(ignoring, old, {}, resumed, preview=False, timeout_seconds=5)
    assert held.applied[-1][0]["spec"] == {"replicas": 7, "paused": False}


def test_a_preview_asks_the_server_and_changes_nothing(provider: KubernetesProvider, held: Held) -> None:
    made = provider.create(DEPLOYMENT, _named("web"), preview=True, timeout_seconds=0)
    assert (made.id, made.outputs) == ("", _named("web"))
    assert [dry for _, dry in held.applied] == [True]
    assert held.objects == {}
    provider.create(DEPLOYMENT, _named("web", spec={"image": UNKNOWN}), preview=True, timeout_seconds=0)
    assert len(held.applied) == 1


def test_an_object_that_is_there_is_not_taken_over(provider: KubernetesProvider, held: Held) -> None:
    held.objects["Deployment", "n", "web"] = _named("web")
    with pytest.raises(ProviderError, match="exists already and is not this stack's"):
        provider.create(DEPLOYMENT, _named("web"), preview=False, timeout_seconds=1)


def test_what_does_not_become_ready_is_kept_with_the_reason(provider: KubernetesProvider, held: Held) -> None:
    live = _named("web", spec={"replicas": 3})
    live["metadata"]["generation"] = 1
    with pytest.raises(PartlyMadeError, match="is not ready: the controller has not seen it after 0 s") as told:
        provider.create(DEPLOYMENT, live, preview=False, timeout_seconds=0.01)
    assert told.value.resource_id == "n/web"
    assert "0/3 nodes are available" in str(told.value)


def test_a_secrets_data_is_secret_in_the_state(provider: KubernetesProvider) -> None:
    resource = Resource("urn:pulumi:s::p::kubernetes:core/v1:Secret::s", "kubernetes:core/v1:Secret", "s")
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"a": "b"}}
    outputs = provider.create(resource, inputs, preview=False, timeout_seconds=1).outputs
    assert outputs["data"] == Secret({"a": "b"})
    assert "managedFields" not in outputs["metadata"]


def test_reading_shows_drift_in_the_shape_of_the_inputs(provider: KubernetesProvider, held: Held) -> None:
    inputs = _named("web", spec={"replicas": 3, "cpu": "2000m", "empty": {}})
    held.objects["Deployment", "n", "web"] = _named("web", spec={"replicas": 5, "cpu": "2", "added": "by somebody"})
    there = Resource(DEPLOYMENT.urn, DEPLOYMENT.type, "web", "n/web")
    read = provider.read(there, inputs, {})
    assert read.inputs == _named("web", spec={"replicas": 5, "cpu": "2000m", "empty": {}})
    assert provider.read(Resource(DEPLOYMENT.urn, DEPLOYMENT.type, "web", "n/gone"), inputs, {}).id == ""


@pytest.mark.parametrize(
    ("given", "found", "same"),
    [("2000m", "2", True), ("0.5", "500m", True), ("1Gi", "1024Mi", True), (3, 3.0, True), ("a", "b", False),
     (True, 1, False), ("1", "2", False), (None, "x", False)],
)  # fmt: skip
def test_values_are_compared_as_the_api_means_them(given: Any, found: Any, same: bool) -> None:
    assert same_value(given, found) is same


def test_what_is_taken_away_shows(provider: KubernetesProvider) -> None:
    assert observed({"data": {"a": "1", "b": "2"}}, {"data": {"b": "2"}}) == {"data": {"b": "2"}}
    assert observed({"rules": [{"a": "1"}]}, {"rules": [{"a": "1"}, {"a": "2"}]}) == {"rules": [{"a": "1"}, {"a": "2"}]}


@pytest.mark.parametrize(
    "token",
    ["kubernetes:helm.sh/v3:Release", "kubernetes:apps/v1:DeploymentPatch", "kubernetes:core/v1:ConfigMapList",
     "kubernetes:yaml/v2:ConfigFile", "aws:s3/bucket:Bucket"],
)  # fmt: skip
def test_what_is_no_object_is_refused_by_name(provider: KubernetesProvider, token: str) -> None:
    with pytest.raises(ProviderError, match="does not know the type"):
        provider.check(Resource(f"urn:pulumi:s::p::{token}::x", token, "x"), {}, {}, b"")


def test_only_this_machine_is_spoken_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = kubeconfig_of("https://10.0.0.1:6443", b"c", "t")
    with pytest.raises(ProviderError, match="not on this machine"):
        Cluster(far)
    executed = json.loads(KUBECONFIG)
    executed["users"][0]["user"] = {"exec": {"command": "aws"}}
    with pytest.raises(ProviderError, match="runs a program for a token"):
        Cluster(json.dumps(executed))
    with pytest.raises(ProviderError, match="give its own kubeconfig"):
        Cluster(KUBECONFIG, "https://127.0.0.1:7443")
    with pytest.raises(ProviderError, match="neither JSON nor YAML"):
        Cluster("nonsense")
    # An emulated account's EKS leads nowhere; the process was told the cluster, and takes no other file.
    monkeypatch.delenv("KUBECONFIG", raising=False)
    emulated = KubernetesProvider("https://127.0.0.1:6443")
    emulated.configure({"kubeconfig": far})
    with pytest.raises(ProviderError, match="KUBECONFIG names no file"):
        emulated.delete(Resource(DEPLOYMENT.urn, DEPLOYMENT.type, "web", "n/web"), {}, {}, timeout_seconds=1)


def _conditions(**statuses: str) -> list[dict[str, str]]:
    return [{"type": kind, "status": status, "message": "m"} for kind, status in statuses.items()]


@pytest.mark.parametrize(
    ("kind", "live", "wanted"),
    [
        ("Job", {"spec": {}, "status": {"conditions": _conditions(Complete="True")}}, State(True)),
        ("Job", {"spec": {}, "status": {"conditions": _conditions(Failed="True")}}, State(False, True, "it failed: m")),
        ("Namespace", {"status": {"phase": "Active"}}, State(True, told="its phase is Active")),
        ("Pod", {"status": {"phase": "Failed"}}, State(False, True, "it failed: no reason given")),
        ("Service", {"spec": {"clusterIP": "None"}}, State(True)),
        ("Role", {}, State(True)),
    ],
)
def test_readiness_by_kind(held: Held, kind: str, live: Properties, wanted: State) -> None:
    assert state_of(held, Kind("v1", kind), {"metadata": {"name": "x"}, **live}) == wanted  # type: ignore[arg-type]


def test_waiting_has_an_end_and_can_be_skipped(held: Held) -> None:
    live = {"metadata": {"name": "n"}, "status": {"phase": "Terminating"}}
    held.objects["Namespace", "", "n"] = live
    ticks = iter(range(1000))
    found = wait_until_ready(held, Kind("v1", "Namespace"), live, 2, lambda: float(next(ticks)))[1]  # type: ignore[arg-type]
    assert (found.ready, found.told) == (False, "its phase is Terminating after 2 s")
    skipped = {**live, "metadata": {"name": "n", "annotations": {"pulumi.com/skipAwait": "true"}}}
    assert wait_until_ready(held, Kind("v1", "Namespace"), skipped, 2)[1].ready  # type: ignore[arg-type]
