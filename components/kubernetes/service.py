"""The web role (`railyard:kubernetes:Service`): the guides' Deployment `402pay-facilitator` and the Service before it.

The number of pods belongs to the HorizontalPodAutoscaler after the first deployment (`scaling.py`), so changes of
`spec.replicas` are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import Service as KubernetesService

from components.kubernetes.names import (
    APPLICATION,
    SERVICE,
    WEB_PORT,
    WORKER,
    WORKER_PORT,
    Manifest,
    at_least,
    labels,
    metadata,
    pinned_image,
    selector,
)
from components.kubernetes.pods import PodArgs, Resources, pod_spec

# The guides ask for three pods in the manifest (x4-k8s-replicas-3); the autoscaler has the field from then on, and
# `ignore_changes` keeps every later update off it.
REPLICAS_REASON = {"kube-score/ignore": "deployment-targeted-by-hpa-does-not-have-replicas-configured"}


@dataclass(frozen=True, kw_only=True)
class WorkloadArgs:
    """Arguments of a role's Deployment.

    Attributes:
        namespace: of the stack.
        image: of the service, by digest.
        release: id of the release, for people; the digest decides what runs.
        service_account: name of the account the pods run as.
        secret: name of the Secret whose keys become variables.
        environment: plain variables.
        lnd_certificate_secret: Secret with LND's certificate; none when empty.
        replicas: pods at the first deployment.
        resources: bounds of a pod.
    """

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    release: str
    service_account: pulumi.Input[str]
    secret: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]]
    lnd_certificate_secret: pulumi.Input[str] = ""
    replicas: int = 3
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", pinned_image(type(self).__name__, "image", self.image))
        self._check_replicas()

    def _check_replicas(self) -> None:
        at_least(type(self).__name__, "replicas", self.replicas, 1, "Without a pod there is no service.")


class ServiceArgs(WorkloadArgs):
    """Arguments of `Service`: those of a role's Deployment; three pods as the guides ask, and never less than two."""

    def _check_replicas(self) -> None:
        at_least("ServiceArgs", "replicas", self.replicas, 2, "One pod is an outage at each update of its node.")


class Service(pulumi.ComponentResource):
    """Attributes: `deployment`, `service`, `name` (of the Service), `port`."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Service", name, None, opts)
        self.deployment = Deployment(
            f"{name}-deployment",
            metadata=metadata(APPLICATION, args.namespace, APPLICATION, REPLICAS_REASON, args.release),
            spec=deployment_spec(APPLICATION, SERVICE, "serve", WEB_PORT, args),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["spec.replicas"]),
        )
        self.service = KubernetesService(
            f"{name}-service",
            metadata=metadata(SERVICE, args.namespace, APPLICATION),
            spec={
                "type": "ClusterIP",
                "selector": {"app": APPLICATION},
                "ports": [
                    {"name": "http", "port": WEB_PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
                ],
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.deployment]),
        )
        self.name: pulumi.Output[str] = self.service.metadata["name"]
        self.port = WEB_PORT
        self.register_outputs({"name": self.name, "port": self.port})


class Worker(pulumi.ComponentResource):
    """The worker role (`railyard:kubernetes:Worker`), which alone can sign. Nothing sends it requests but the scraper.

    Attributes: `deployment`.
    """

    def __init__(self, name: str, args: WorkloadArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Worker", name, None, opts)
        self.deployment = Deployment(
            f"{name}-deployment",
            metadata=metadata(WORKER, args.namespace, WORKER, release=args.release),
            spec=deployment_spec(WORKER, "worker", "work", WORKER_PORT, args),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"deployment": WORKER})


def deployment_spec(app: str, container: str, command: str, port: int, args: WorkloadArgs) -> Manifest:
    """A Deployment's `spec`: never fewer pods than asked for during an update, and one more at a time."""
    pod = PodArgs(
        app=app,
        container=container,
        image=args.image,
        command=(command,),
        service_account=args.service_account,
        environment=args.environment,
        secrets=(args.secret,),
        lnd_certificate_secret=args.lnd_certificate_secret,
        resources=args.resources,
        port=port,
    )
    return {
        "replicas": args.replicas,
        "selector": selector(app),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "minReadySeconds": 10,
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        "template": {"metadata": {"labels": labels(app, args.release)}, "spec": pod_spec(pod)},
    }
