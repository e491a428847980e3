"""What must hold of everything the application declares, each property by name; tests and mutants use the same ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from components.kubernetes.secrets import WALLET_VARIABLES
from components.maintenance_jobs import MAINTENANCE_JOBS
from tests.components.kubernetes.declaring import Declared

Check = Callable[[Declared], bool]
_CHECKS: dict[str, Check] = {}


def _property(check: Check) -> Check:
    _CHECKS[check.__name__] = check
    return check


def _containers(declared: Declared) -> Iterator[dict[str, Any]]:
    for pod in declared.pods().values():
        yield from pod["containers"]
        assert "initContainers" not in pod


def _web(declared: Declared) -> dict[str, Any]:
    found: dict[str, Any] = declared.one("Deployment", "402pay-facilitator")["spec"]
    return found


def _policy(declared: Declared, name: str) -> dict[str, Any]:
    found: dict[str, Any] = declared.one("NetworkPolicy", name)["spec"]
    return found


@_property
def no_root(declared: Declared) -> bool:
    pods = declared.pods().values()
    contexts = [pod["securityContext"] for pod in pods] + [it["securityContext"] for it in _containers(declared)]
    return all(it["runAsNonRoot"] is True and it["runAsUser"] >= 10000 for it in contexts)


@_property
def read_only_root(declared: Declared) -> bool:
    return all(it["securityContext"]["readOnlyRootFilesystem"] is True for it in _containers(declared))


@_property
def no_escalation(declared: Declared) -> bool:
    contexts = [it["securityContext"] for it in _containers(declared)]
    return all(it["allowPrivilegeEscalation"] is False and it["privileged"] is False for it in contexts)


@_property
def no_capability(declared: Declared) -> bool:
    return all(it["securityContext"]["capabilities"] == {"drop": ["ALL"]} for it in _containers(declared))


@_property
def seccomp(declared: Declared) -> bool:
    pods = [pod["securityContext"] for pod in declared.pods().values()]
    contexts = [*pods, *(it["securityContext"] for it in _containers(declared))]
    return all(it["seccompProfile"] == {"type": "RuntimeDefault"} for it in contexts)


@_property
def no_token(declared: Declared) -> bool:
    accounts = declared.of("ServiceAccount").values()
    pods = declared.pods().values()
    return all(it["automountServiceAccountToken"] is False for it in [*accounts, *pods])


@_property
def image_by_digest(declared: Declared) -> bool:
    return all(re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", it["image"]) for it in _containers(declared))


@_property
def bounded(declared: Declared) -> bool:
    sizes = [it["resources"] for it in _containers(declared)]
    kinds = {"cpu", "memory", "ephemeral-storage"}
    return all(set(it["limits"]) == set(it["requests"]) == kinds for it in sizes)


@_property
def guides_size(declared: Declared) -> bool:
    limits = [_web(declared)["template"]["spec"]["containers"][0]["resources"]["limits"]]
    return all(it["cpu"] == "2000m" and it["memory"] == "4096Mi" for it in limits)


@_property
def liveness_as_in_the_guide(declared: Declared) -> bool:
    probe = _web(declared)["template"]["spec"]["containers"][0]["livenessProbe"]
    wanted = {"path": "/health", "port": "http", "scheme": "HTTP"}
    return probe["httpGet"] == wanted and (probe["initialDelaySeconds"], probe["periodSeconds"]) == (30, 10)


@_property
def readiness_as_in_the_guide(declared: Declared) -> bool:
    probe = _web(declared)["template"]["spec"]["containers"][0]["readinessProbe"]
    wanted = {"path": "/ready", "port": "http", "scheme": "HTTP"}
    return probe["httpGet"] == wanted and (probe["initialDelaySeconds"], probe["periodSeconds"]) == (5, 5)


@_property
def three_replicas(declared: Declared) -> bool:
    return bool(_web(declared)["replicas"] == 3)


@_property
def never_fewer_during_an_update(declared: Declared) -> bool:
    strategy = _web(declared)["strategy"]
    return bool(strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})


@_property
def spread_over_zones(declared: Declared) -> bool:
    constraints = _web(declared)["template"]["spec"]["topologySpreadConstraints"]
    zones = [it for it in constraints if it["topologyKey"] == "topology.kubernetes.io/zone"]
    return [(it["maxSkew"], it["whenUnsatisfiable"]) for it in zones] == [(1, "DoNotSchedule")]


@_property
def scales_as_in_the_guides(declared: Declared) -> bool:
    spec = declared.one("HorizontalPodAutoscaler")["spec"]
    resources = {
        it["resource"]["name"]: it["resource"]["target"]["averageUtilization"]
        for it in spec["metrics"]
        if it["type"] == "Resource"
    }
    pending = [it["external"] for it in spec["metrics"] if it["type"] == "External"]
    return (
        (spec["minReplicas"], spec["maxReplicas"]) == (3, 10)
        and resources == {"cpu": 70, "memory": 80}
        and [(it["metric"]["name"], it["target"]["value"]) for it in pending] == [("payments_pending", "50")]
    )


@_property
def one_pod_disrupted_at_a_time(declared: Declared) -> bool:
    budgets = declared.of("PodDisruptionBudget")
    apps = {"402pay-facilitator", "402pay-worker"}
    return set(budgets) == apps and all(it["spec"]["maxUnavailable"] == 1 for it in budgets.values())


@_property
def restricted_pod_security(declared: Declared) -> bool:
    labels = declared.one("Namespace")["metadata"]["labels"]
    return bool(labels.get("pod-security.kubernetes.io/enforce") == "restricted")


@_property
def nothing_talks_by_default(declared: Declared) -> bool:
    spec = _policy(declared, "default-deny")
    sides = sorted(spec["policyTypes"]) == ["Egress", "Ingress"]
    return sides and spec["podSelector"] == {} and not spec["ingress"] and not spec["egress"]


@_property
def ingress_from_gateway_and_scraper_alone(declared: Declared) -> bool:
    found = {}
    for name, policy in declared.of("NetworkPolicy").items():
        for rule in policy["spec"]["ingress"]:
            peers = [it["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for it in rule["from"]]
            found[name] = (sorted(peers), [port["port"] for port in rule["ports"]])
    return found == {"web": (["envoy-gateway-system", "monitoring"], [3001]), "worker": (["monitoring"], [3002])}


@_property
def egress_named(declared: Declared) -> bool:
    wanted = {53: "dns", 5432: "10.40.128.0/24", 6379: "10.40.128.0/24", 443: "0.0.0.0/0", 8080: "10.60.0.10/32"}
    for role in ("web", "worker"):
        found: dict[int, str] = {}
        for rule in _policy(declared, role)["egress"]:
            peer = rule["to"][0]
            where = peer["ipBlock"]["cidr"] if "ipBlock" in peer else "dns"
            if where == "dns" and peer["podSelector"]["matchLabels"] != {"k8s-app": "kube-dns"}:
                return False
            if where == "0.0.0.0/0" and peer["ipBlock"]["except"] != ["169.254.169.254/32"]:
                return False
            found |= {port["port"]: where for port in rule["ports"]}
        if found != wanted:
            return False
    jobs = [_policy(declared, name)["egress"] for name in ("migration", "maintenance")]
    return all({port["port"] for rule in it for port in rule["ports"]} == {53, 5432} for it in jobs)


@_property
def every_pod_has_a_policy(declared: Declared) -> bool:
    chosen = {
        policy["spec"]["podSelector"]["matchLabels"]["app"]
        for policy in declared.of("NetworkPolicy").values()
        if policy["spec"]["podSelector"]
    }
    templates = [it["spec"]["template"] for kind in ("Deployment", "Job") for it in declared.of(kind).values()]
    templates += [it["spec"]["jobTemplate"]["spec"]["template"] for it in declared.of("CronJob").values()]
    return {it["metadata"]["labels"]["app"] for it in templates} == chosen


@_property
def wallets_at_the_worker_alone(declared: Declared) -> bool:
    held = {
        name: WALLET_VARIABLES & {entry["secretKey"] for entry in it["spec"]["data"]}
        for name, it in declared.of("ExternalSecret").items()
    }
    wanted = {"Deployment 402pay-facilitator": "402pay-secrets", "Deployment 402pay-worker": "402pay-worker-secrets"}
    # What changes the schema or rebuilds its indexes has the owner's login, and everything else of it has not.
    owner = {f"CronJob 402pay-maintenance-{job.name}" for job in MAINTENANCE_JOBS if job.login == "owner"}
    return {name for name, wallets in held.items() if wallets} == {"402pay-worker-secrets"} and all(
        [it["secretRef"]["name"] for it in pod["containers"][0]["envFrom"]]
        == [
            "402pay-migration-secrets"
            if name.startswith("Job ") or name in owner
            else wanted.get(name, "402pay-secrets")
        ]
        for name, pod in declared.pods().items()
    )


@_property
def every_job_of_the_list_at_its_time(declared: Declared) -> bool:
    found = {
        name: (it["spec"]["schedule"], it["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"],
               it["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"])
        for name, it in declared.of("CronJob").items()
    }  # fmt: skip
    return found == {
        f"402pay-maintenance-{job.name}": (job.schedule, 60 * job.timeout_minutes, list(job.command))
        for job in MAINTENANCE_JOBS
    }


@_property
def tls_at_the_gateway(declared: Declared) -> bool:
    listeners = {it["name"]: it for it in declared.one("Gateway")["spec"]["listeners"]}
    redirect = declared.one("HTTPRoute", "redirect-to-https")["spec"]
    rule = redirect["rules"][0]["filters"][0]["requestRedirect"]
    route = declared.one("HTTPRoute", "402pay-facilitator")["spec"]
    hsts = route["rules"][0]["filters"][0]["responseHeaderModifier"]["set"][0]
    return (
        set(listeners) == {"https", "http"}
        and listeners["https"]["tls"]["mode"] == "Terminate"
        and redirect["parentRefs"][0]["sectionName"] == "http"
        and rule["scheme"] == "https"
        and [it["sectionName"] for it in route["parentRefs"]] == ["https"]
        and hsts["name"] == "Strict-Transport-Security"
    )


@_property
def main_route_can_be_outranked(declared: Declared) -> bool:
    rules = declared.one("HTTPRoute", "402pay-facilitator")["spec"]["rules"]
    return [it["matches"] for it in rules] == [[{"path": {"type": "PathPrefix", "value": "/"}}]]


@_property
def scraped_as_in_the_guide(declared: Declared) -> bool:
    spec = declared.one("ServiceMonitor")["spec"]
    endpoint = spec["endpoints"][0]
    service = declared.one("Service", "facilitator")
    job = service["metadata"]["labels"][spec["jobLabel"]]
    return (job, endpoint["path"], endpoint["interval"], service["spec"]["ports"][0]["port"]) == (
        "402pay-facilitator",
        "/metrics",
        "15s",
        3001,
    )


def failing(declared: Declared) -> list[str]:
    """Names of the properties that do not hold."""
    broken = []
    for name, check in _CHECKS.items():
        try:
            holds = check(declared)
        except (KeyError, IndexError, TypeError, StopIteration):
            holds = False
        if not holds:
            broken.append(name)
    return broken


NAMES = tuple(_CHECKS)
