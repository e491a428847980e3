"""What a type token means to the API, and which of its properties only a new object can have.

Source of the table: pulumi-kubernetes `provider/pkg/provider/diff.go`. Every type replaces on its name and namespace.
"""

from __future__ import annotations

from typing import NamedTuple

from providers.base.provider import ProviderError, Resource
from providers.base.values import Properties, plain

IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace")
_CONTAINER = (
    "args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports", "readinessProbe",
    "resources", "securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty",
    "volumeDevices", "volumeMounts", "workingDir",
)  # fmt: skip
_POD = (
    "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases",
    "hostIPC", "hostNetwork", "hostPID", "hostname", "imagePullSecrets", "nodeName", "nodeSelector", "overhead",
    "preemptionPolicy", "priority", "priorityClassName", "readinessGates", "restartPolicy", "runtimeClassName",
    "schedulerName", "securityContext", "serviceAccount", "serviceAccountName", "shareProcessNamespace", "subdomain",
    "terminationGracePeriodSeconds", "volumes",
)  # fmt: skip
REPLACES_ON: dict[tuple[str, str], tuple[str, ...]] = {
    ("apps/v1", "DaemonSet"): ("spec.selector",),
    ("apps/v1", "Deployment"): ("spec.selector",),
    ("apps/v1", "StatefulSet"): (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    ("batch/v1", "Job"): ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io/v1", "StorageClass"): ("parameters", "provisioner"),
    ("v1", "PersistentVolumeClaim"): (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
    ),
    ("v1", "Pod"): (
        *(f"spec.{name}" for name in _POD),
        *(f"spec.{group}.{name}" for group in ("containers", "initContainers") for name in _CONTAINER),
    ),
    ("v1", "ResourceQuota"): ("spec.scopes",),
    ("v1", "Secret"): ("type",),
    ("v1", "Service"): ("spec.clusterIP",),
}
# Data of these replaces unless the provider is configured to change it in place.
DATA = {("v1", "ConfigMap"): ("data", "binaryData"), ("v1", "Secret"): ("data", "stringData")}
MUTABLE_BY = {"ConfigMap": "enableConfigMapMutable", "Secret": "enableSecretMutable"}
NOT_SERVED = ("kubernetes:helm.sh", "kubernetes:yaml", "kubernetes:kustomize", "kubernetes:index")


class Kind(NamedTuple):
    """An API version and a kind, as an object names them."""

    api_version: str
    kind: str


def kind_of(resource: Resource, properties: Properties) -> Kind:
    """The kind of the object a resource is: what its properties say, else what its type token says.

    Raises:
        ProviderError: the type is not an object of the API.
    """
    package, _, rest = resource.type.partition(":")
    group, _, token_kind = rest.rpartition(":")
    served = not resource.type.startswith(NOT_SERVED) and "/" in group
    if package != "kubernetes" or not served or token_kind.endswith(("Patch", "List")):
        raise ProviderError(
            f"{resource.urn}: the offline kubernetes provider does not know the type {resource.type}; it serves "
            "objects of the API, such as kubernetes:apps/v1:Deployment, but no charts, patches, lists or files."
        )
    given = plain(properties)
    api_version = given.get("apiVersion") or group.removeprefix("core/")
    return Kind(str(api_version), str(given.get("kind") or token_kind))


def replaces_on(kind: Kind, inputs: Properties, config: Properties) -> tuple[str, ...]:
    """Properties whose change replaces the object.

    Args:
        config: of the provider; it says whether data of ConfigMaps and Secrets may change in place.
    """
    data = DATA.get(kind, ())
    if data:
        mutable = str(config.get(MUTABLE_BY[kind.kind], "false")).lower() == "true"
        data = () if mutable and not plain(inputs).get("immutable") else data
    return (*IDENTITY, *REPLACES_ON.get(kind, ()), *data)
