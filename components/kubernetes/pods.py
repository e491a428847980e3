"""The one pod specification of the service, hardened; what the restricted level of pod security asks, and more.

No root, no capability, no privilege escalation, the runtime's seccomp profile, a read-only root file system with a
bounded /tmp, no token of the API, an image by digest, and bounds on everything a pod can take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from components.arguments import ArgumentError
from components.kubernetes.names import Manifest, at_least, pinned_image, selector

USER = 10001
"""The number of the image's user and group (app/Dockerfile); no such account need exist."""
LND_FOLDER = "/var/run/lnd"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a pod may take (facts.md section 10: an application has 2 vCPU and 4 GB).

    Attributes:
        cpu_millicores: limit of CPU time, thousandths of a core.
        memory_mebibytes: limit of memory; asked for in full, so that a node never has to evict for it.
        requested_cpu_millicores: what is set aside for the pod; 0 means half of the limit.
        scratch_mebibytes: size of /tmp and of logs on the node.
    """

    cpu_millicores: int = 2000
    memory_mebibytes: int = 4096
    requested_cpu_millicores: int = 0
    scratch_mebibytes: int = 256

    def __post_init__(self) -> None:
        at_least("Resources", "cpu_millicores", self.cpu_millicores, 100, "Give a pod at least a tenth of a core.")
        at_least("Resources", "memory_mebibytes", self.memory_mebibytes, 256, "The service does not start in less.")
        at_least("Resources", "scratch_mebibytes", self.scratch_mebibytes, 16, "Leave room for temporary files.")
        if self.requested_cpu_millicores > self.cpu_millicores:
            raise ArgumentError(
                "Resources",
                "requested_cpu_millicores",
                f"is {self.requested_cpu_millicores}, more than the limit of {self.cpu_millicores}",
                "Ask for at most the limit.",
            )

    def manifest(self) -> Manifest:
        """As a container's `resources`."""
        requested = self.requested_cpu_millicores or self.cpu_millicores // 2
        storage = f"{self.scratch_mebibytes * 2}Mi"
        memory = f"{self.memory_mebibytes}Mi"
        return {
            "requests": {"cpu": f"{requested}m", "memory": memory, "ephemeral-storage": storage},
            "limits": {"cpu": f"{self.cpu_millicores}m", "memory": memory, "ephemeral-storage": storage},
        }


@dataclass(frozen=True, kw_only=True)
class PodArgs:
    """Arguments of `pod_spec`.

    Attributes:
        app: label `app` of the pods.
        container: name of the one container.
        image: of the service, by digest.
        command: arguments of the image's entry point: `serve`, `work`, `migrate`, ...
        service_account: name of the account the pod runs as.
        environment: plain variables.
        secrets: names of Secrets whose keys become variables.
        lnd_certificate_secret: Secret with LND's certificate as `tls.cert`, mounted as files; none when empty.
        resources: bounds.
        port: where the container listens; 0 for one that doesn't.
        always: whether the pod runs for good; False for one that ends.
        grace_seconds: how long it may take to end.
    """

    app: str
    container: str
    image: pulumi.Input[str]
    command: tuple[str, ...]
    service_account: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    secrets: tuple[pulumi.Input[str], ...] = ()
    lnd_certificate_secret: pulumi.Input[str] = ""
    resources: Resources = field(default_factory=Resources)
    port: int = 0
    always: bool = True
    grace_seconds: int = 45

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", pinned_image("PodArgs", "image", self.image))
        if not self.command:
            raise ArgumentError("PodArgs", "command", "is empty", "Say what the image is to do: serve, work, migrate.")


def pod_spec(args: PodArgs) -> Manifest:
    """The pod's `spec`."""
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {"sizeLimit": f"{args.resources.scratch_mebibytes}Mi"}}]
    if args.lnd_certificate_secret:
        volumes.append({"name": "lnd", "secret": {"secretName": args.lnd_certificate_secret, "defaultMode": 0o440}})
    spec: Manifest = {
        "serviceAccountName": args.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": args.grace_seconds,
        "restartPolicy": "Always" if args.always else "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(args)],
        "volumes": volumes,
    }
    if args.always:
        spec["topologySpreadConstraints"] = _spread(args.app)
        spec["affinity"] = _apart(args.app)
    return spec


def _container(args: PodArgs) -> Manifest:
    mounts: list[Manifest] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 (a volume of the pod's own)
    if args.lnd_certificate_secret:
        mounts.append({"name": "lnd", "mountPath": LND_FOLDER, "readOnly": True})
    container: Manifest = {
        "name": args.container,
        "image": args.image,
        # A digest never changes; what is asked anew each time is whether this cluster may have the image.
        "imagePullPolicy": "Always",
        "args": list(args.command),
        "env": [{"name": name, "value": value} for name, value in sorted(args.environment.items())],
        "envFrom": [{"secretRef": {"name": secret}} for secret in args.secrets],
        "resources": args.resources.manifest(),
        "volumeMounts": mounts,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if args.port:
        container["ports"] = [{"name": "http", "containerPort": args.port, "protocol": "TCP"}]
    if args.port and args.always:
        container.update(_probes())
        # Endpoints are taken from load balancers while the container still answers.
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": 10}}}
    return container


def _probes() -> Manifest:
    """The guides' timing (x4-k8s-liveness, x4-k8s-readiness); a check takes the app at most 3 s."""

    def probe(path: str, first_seconds: int, period_seconds: int) -> Manifest:
        return {
            "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
            "initialDelaySeconds": first_seconds,
            "periodSeconds": period_seconds,
            "timeoutSeconds": 4,
            "failureThreshold": 3,
            "successThreshold": 1,
        }

    return {"livenessProbe": probe("/health", 30, 10), "readinessProbe": probe("/ready", 5, 5)}


def _spread(app: str) -> list[Manifest]:
    """Even over zones, if need be by waiting; over nodes as far as it goes."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": unsatisfiable,
            "labelSelector": selector(app),
            # Each release is spread by itself, else the pods of the one before would distort it.
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key, unsatisfiable in (
            ("topology.kubernetes.io/zone", "DoNotSchedule"),
            ("kubernetes.io/hostname", "ScheduleAnyway"),
        )
    ]


def _apart(app: str) -> Manifest:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector(app)}
    return {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]
        }
    }
