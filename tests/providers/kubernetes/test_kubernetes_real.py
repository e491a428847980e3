"""The provider and the components against a real API server with its controllers; the nodes are kwok's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.dynamic.exceptions import DynamicApiError

from providers.kubernetes.cluster import Cluster
from providers.kubernetes.kinds import Kind
from providers.kubernetes.provider import KubernetesProvider
from tests.engine.conformance.conf_harness import Stack
from tests.providers.conftest import StackOf

pytestmark = pytest.mark.full
CHECKOUT = Path(__file__).resolve().parents[3]
PROVIDER = """
import sys
sys.path[:0] = [{checkout!r}]
import pulumi_kubernetes as k8s
cluster = k8s.Provider("cluster", kubeconfig=open({kubeconfig!r}).read(), enable_config_map_mutable=True)
inside = Opts(provider=cluster)
"""
APPLICATION = """
from tests.components.kubernetes.declaring import IMAGE, application
changes = json.loads({changes!r})
from components.kubernetes.application import Application, ApplicationArgs
from components.kubernetes import application as module
import types
Wrapped = lambda name, args: Application(name, args, pulumi.ResourceOptions(providers=[cluster]))
application(types.SimpleNamespace(Application=Wrapped, ApplicationArgs=ApplicationArgs), **changes)()
"""
SMALL = """
space = k8s.core.v1.Namespace("space", metadata={{"name": {space!r}}}, opts=inside)
table = k8s.core.v1.ConfigMap("table", metadata={{"namespace": space.metadata["name"]}}, data={{"a": {value!r}}},
                              opts=inside)
named = k8s.core.v1.ConfigMap("named", metadata={{"namespace": {space!r}, "name": {name!r}}}, data={{"a": "1"}},
                              immutable={immutable}, opts=Opts(provider=cluster, depends_on=[space]))
pulumi.export("table", table.metadata["name"])
"""


@pytest.fixture
def program(kubeconfig: Path) -> Callable[[str], str]:
    """A program's text after what every one of them begins with."""
    head = PROVIDER.format(checkout=str(CHECKOUT), kubeconfig=str(kubeconfig))
    return lambda text: head + text


@pytest.fixture
def stack(stack_of: StackOf) -> Stack:
    return stack_of(KubernetesProvider())


def _application(**changes: Any) -> str:
    return APPLICATION.format(changes=json.dumps(changes))


def _pods(cluster: Cluster, namespace: str, app: str) -> list[dict[str, Any]]:
    return cluster.select(Kind("v1", "Pod"), namespace, f"app={app}")


def test_the_whole_application_is_made_changed_and_taken_away(
    stack: Stack, program: Callable[[str], str], cluster: Cluster
) -> None:
    made = stack.up(program(_application(namespace="whole")))
    assert set(made.changes) == {"create"}
    web = _pods(cluster, "whole", "402pay-facilitator")
    assert len(web) == 3
    assert {pod["status"]["phase"] for pod in web} == {"Running"}
    zones = {pod["spec"]["nodeName"][-1] for pod in web}
    assert len({int(node) % 3 for node in zones}) == 3
    job = cluster.select(Kind("batch/v1", "Job"), "whole", "app=402pay-migration")[0]
    assert job["status"]["succeeded"] == 1
    assert stack.up().changes == {}
    stack.refresh()
    assert stack.preview().changes == {}

    image = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/payments@sha256:{'5e' * 32}"
    changed = stack.up(program(_application(namespace="whole", image=image, release="r-2")))
    assert changed.ops()["payments-migration-job"] == ["create-replacement", "replace", "delete-replaced"]
    assert changed.ops()["payments-web-deployment"] == ["update"]
    web = [it for it in _pods(cluster, "whole", "402pay-facilitator") if "deletionTimestamp" not in it["metadata"]]
    assert {pod["spec"]["containers"][0]["image"] for pod in web} == {image}

    stack.destroy()
    assert cluster.get(Kind("v1", "Namespace"), "whole", "") is None


def test_what_the_autoscaler_set_stays(stack: Stack, program: Callable[[str], str], cluster: Cluster) -> None:
    stack.up(program(_application(namespace="scaled")))
    deployment = Kind("apps/v1", "Deployment")
    scaled = {"metadata": {"name": "402pay-facilitator", "namespace": "scaled"}, "spec": {"replicas": 5}}
    full = {"apiVersion": "apps/v1", "kind": "Deployment", **scaled}
    cluster.apply(deployment, full, "somebody", force=True)
    stack.refresh()
    assert stack.preview().changes == {}
    stack.up(program(_application(namespace="scaled", release="r-2")))
    live = cluster.get(deployment, "402pay-facilitator", "scaled")
    assert live is not None
    assert live["spec"]["replicas"] == 5
    stack.destroy()


def test_the_namespace_takes_pods_of_the_restricted_level_alone(
    stack: Stack, program: Callable[[str], str], cluster: Cluster
) -> None:
    stack.up(program(_application(namespace="strict")))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "loose", "namespace": "strict"},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    with pytest.raises(DynamicApiError, match="violates PodSecurity"):
        cluster.apply(Kind("v1", "Pod"), pod, "test")
    stack.destroy()


def test_names_replacements_and_drift_are_the_real_providers(
    stack: Stack, program: Callable[[str], str], cluster: Cluster
) -> None:
    values = {"space": "small", "value": "1", "name": "fixed", "immutable": "True"}
    stack.up(program(SMALL.format(**values)))
    name = stack.outputs()["table"]
    assert name.startswith("table-")
    assert len(name) == len("table-") + 8
    # Data changes in place, as the provider is configured; of what is immutable it replaces.
    assert stack.up(program(SMALL.format(**{**values, "value": "2"}))).ops() == {"table": ["update"]}
    assert stack.outputs()["table"] == name
    renamed = stack.preview(program(SMALL.format(**{**values, "value": "2", "name": "other"})))
    assert renamed.ops()["named"] == ["create-replacement", "replace", "delete-replaced"]
    replaced = stack.preview(
        program(SMALL.format(**{**values, "value": "2"}).replace('data={"a": "1"}', 'data={"a": "9"}'))
    )
    assert replaced.ops()["named"] == ["delete-replaced", "replace", "create-replacement"]
    # Somebody changes it; a refresh sees it, an update heals it.
    stack.write(program(SMALL.format(**{**values, "value": "2"})))
    drifted = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "small"}, "data": {"a": "x"}
    }  # fmt: skip
    cluster.apply(Kind("v1", "ConfigMap"), drifted, "somebody", force=True)
    stack.refresh()
    assert stack.preview().ops() == {"table": ["update"]}
    stack.destroy()


def test_what_does_not_become_ready_is_told_and_kept(
    stack: Stack, program: Callable[[str], str], cluster: Cluster
) -> None:
    text = """
space = k8s.core.v1.Namespace("space", metadata={"name": "broken", "labels": {
    "pod-security.kubernetes.io/enforce": "restricted"}}, opts=inside)
k8s.apps.v1.Deployment("loose", metadata={"namespace": space.metadata["name"], "name": "loose"}, spec={
    "selector": {"matchLabels": {"app": "loose"}},
    "template": {"metadata": {"labels": {"app": "loose"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}},
    opts=inside)
"""
    refused = stack.up(program(text), fails=True)
    assert "is not ready: 0 of 1 pods are available" in refused.errors
    assert "violates PodSecurity" in refused.errors
    assert "loose" in stack.names()
    stack.destroy()


def test_a_wrong_field_is_found_by_the_preview(stack: Stack, program: Callable[[str], str]) -> None:
    text = """
k8s.core.v1.ConfigMap("table", metadata={"namespace": "default", "name": "wrong"}, dat={"a": "1"}, opts=inside)
""".replace("dat=", "data=").replace('{"a": "1"}', '{"a": {"b": "1"}}')
    refused = stack.preview(program(text), fails=True)
    assert "refused to plan it" in refused.errors


def test_another_stacks_object_is_not_taken_over(stack: Stack, program: Callable[[str], str], cluster: Cluster) -> None:
    taken = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "taken", "namespace": "default"}}
    cluster.apply(Kind("v1", "ConfigMap"), taken, "somebody")
    text = 'k8s.core.v1.ConfigMap("t", metadata={"namespace": "default", "name": "taken"}, opts=inside)'
    refused = stack.up(program(text), fails=True)
    assert "exists already and is not this stack's" in refused.errors
