"""When an object is ready, by kind, and waiting for it with a cap. What is not listed is ready when it is accepted.

Source: pulumi-kubernetes `provider/pkg/await/` (awaiters.go and the checkers by kind).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from providers.base.values import Properties
from providers.kubernetes.cluster import Cluster
from providers.kubernetes.kinds import Kind

# The real provider's caps, in seconds.
CAPS = {"Deployment": 600.0, "StatefulSet": 600.0, "DaemonSet": 600.0, "Job": 600.0, "Service": 600.0}
CAP_SECONDS = 300.0
SKIP, TIMEOUT = "pulumi.com/skipAwait", "pulumi.com/timeoutSeconds"
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0


@dataclass(frozen=True)
class State:
    """How far an object is.

    Attributes:
        ready: it is as wanted.
        failed: it never will be, by itself.
        told: what it lacks, as part of a sentence.
    """

    ready: bool
    failed: bool = False
    told: str = ""


def state_of(cluster: Cluster, kind: Kind, live: Properties) -> State:
    """How far the object is."""
    judge = _JUDGES.get(kind.kind)
    return judge(cluster, live) if judge else State(True)


def wait_until_ready(
    cluster: Cluster,
    kind: Kind,
    live: Properties,
    timeout_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Properties, State]:
    """Look at the object until it is ready, has failed, or the cap is reached; returns it and how far it is.

    Args:
        timeout_seconds: the resource's own cap, 0 for the kind's.
    """
    metadata = live["metadata"]
    annotations = metadata.get("annotations") or {}
    if annotations.get(SKIP) == "true":
        return live, State(True)
    cap = timeout_seconds or float(annotations.get(TIMEOUT) or 0) or CAPS.get(kind.kind, CAP_SECONDS)
    end, pause, nap = clock() + cap, FIRST_PAUSE_SECONDS, threading.Event()
    while True:
        found = state_of(cluster, kind, live)
        if found.ready or found.failed:
            return live, found
        if clock() >= end:
            return live, State(False, False, f"{found.told} after {cap:.0f} s")
        nap.wait(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
        now = cluster.get(kind, metadata["name"], metadata.get("namespace", ""))
        if now is None:
            return live, State(False, True, "somebody deleted it")
        live = now


def wait_until_gone(
    cluster: Cluster,
    kind: Kind,
    name: str,
    namespace: str,
    timeout_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Look until the object is gone; returns what keeps it, "" when nothing does."""
    cap = timeout_seconds or CAP_SECONDS
    end, pause, nap = clock() + cap, FIRST_PAUSE_SECONDS, threading.Event()
    while True:
        live = cluster.get(kind, name, namespace)
        if live is None:
            return ""
        if clock() >= end:
            finalizers = live["metadata"].get("finalizers") or live.get("spec", {}).get("finalizers") or []
            return f"it is still there after {cap:.0f} s" + (f", held by {', '.join(finalizers)}" if finalizers else "")
        nap.wait(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


def _conditions(live: Properties) -> dict[str, Properties]:
    return {condition["type"]: condition for condition in live.get("status", {}).get("conditions") or []}


def _observed(live: Properties) -> bool:
    return bool(live.get("status", {}).get("observedGeneration", 0) >= live["metadata"].get("generation", 0))


def _deployment(cluster: Cluster, live: Properties) -> State:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    conditions = _conditions(live)
    progressing, available = conditions.get("Progressing", {}), conditions.get("Available", {})
    updated, there = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    told = f"{there} of {wanted} pods are available, {updated} of this version"
    if not _observed(live):
        return State(False, told="the controller has not seen it")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return State(False, True, f"{told}: {progressing.get('message', '')}")
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True" and "is forbidden" in failure.get("message", ""):
        return State(False, True, f"{told}: {failure['message']}")
    complete = progressing.get("reason") == "NewReplicaSetAvailable" and progressing.get("status") == "True"
    done = complete and available.get("status") == "True" and updated >= wanted and there >= wanted
    return State(done and status.get("replicas", 0) == updated, told=told)


def _stateful_set(cluster: Cluster, live: Properties) -> State:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    done = _observed(live) and ready == wanted and status.get("currentRevision") == status.get("updateRevision")
    return State(done, told=f"{ready} of {wanted} pods are ready, {updated} of this version")


def _daemon_set(cluster: Cluster, live: Properties) -> State:
    status = live.get("status", {})
    wanted = status.get("desiredNumberScheduled", 0)
    done = _observed(live) and status.get("updatedNumberScheduled", 0) == wanted == status.get("numberReady", 0)
    return State(done, told=f"{status.get('numberReady', 0)} of {wanted} pods are ready")


def _job(cluster: Cluster, live: Properties) -> State:
    conditions = _conditions(live)
    if live["spec"].get("suspend") or conditions.get("Complete", {}).get("status") == "True":
        return State(True)
    failed = conditions.get("Failed", {})
    if failed.get("status") == "True":
        return State(False, True, f"it failed: {failed.get('message', 'no reason given')}")
    status = live.get("status", {})
    return State(False, told=f"{status.get('succeeded', 0)} pods succeeded, {status.get('failed', 0)} failed")


def _service(cluster: Cluster, live: Properties) -> State:
    spec = live.get("spec", {})
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return State(True)
    metadata = live["metadata"]
    slices = cluster.select(
        Kind("discovery.k8s.io/v1", "EndpointSlice"),
        metadata["namespace"],
        f"kubernetes.io/service-name={metadata['name']}",
    )
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
    ready = [endpoint for endpoint in endpoints if (endpoint.get("conditions") or {}).get("ready", True)]
    if spec.get("type") == "LoadBalancer" and not live.get("status", {}).get("loadBalancer", {}).get("ingress"):
        return State(False, told="it has no load balancer")
    return State(bool(ready), told="no ready pod matches its selector")


def _namespace(cluster: Cluster, live: Properties) -> State:
    phase = live.get("status", {}).get("phase", "")
    return State(phase == "Active", told=f"its phase is {phase or 'not set'}")


def _definition(cluster: Cluster, live: Properties) -> State:
    return State(_conditions(live).get("Established", {}).get("status") == "True", told="it is not established")


def _pod(cluster: Cluster, live: Properties) -> State:
    phase = live.get("status", {}).get("phase", "Pending")
    if phase == "Failed":
        return State(False, True, f"it failed: {live.get('status', {}).get('message', 'no reason given')}")
    ready = phase == "Succeeded" or _conditions(live).get("Ready", {}).get("status") == "True"
    return State(ready, told=f"its phase is {phase}")


_JUDGES: dict[str, Callable[[Cluster, Properties], State]] = {
    "CustomResourceDefinition": _definition,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Job": _job,
    "Namespace": _namespace,
    "Pod": _pod,
    "Service": _service,
    "StatefulSet": _stateful_set,
}
