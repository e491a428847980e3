"""Who may talk to whom in the namespace (`railyard:kubernetes:NetworkPolicies`):

- nothing at all, unless a policy below says so;
- in: to web from the gateway and the metrics scraper, to the worker from the scraper, each on its one port;
- out: DNS, the database, the cache, 443, and LND's host and port; the migration and the maintenance reach the database
  alone, but for the job that reads the audit archive, which is on 443.

A policy names addresses, not hosts, so what lies outside the cluster is given as CIDRs. The CNI has to enforce
policies: Amazon's does with `enableNetworkPolicy`, which `cluster.py` turns on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components.arguments import ArgumentError
from components.kubernetes.names import (
    APPLICATION,
    ARCHIVE,
    MAINTENANCE,
    MIGRATION,
    WEB_PORT,
    WORKER,
    WORKER_PORT,
    Manifest,
    metadata,
    selector,
)

METADATA_SERVICE = "169.254.169.254/32"
"""Hands a node's credentials to whoever asks: never reachable from a pod."""
EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Something outside the namespace.

    Attributes:
        cidrs: where it is.
        port: TCP port.
    """

    cidrs: tuple[pulumi.Input[str], ...]
    port: int

    def __post_init__(self) -> None:
        if not self.cidrs:
            raise ArgumentError("Destination", "cidrs", "is empty", "Name the subnets it is in.")
        if not 1 <= self.port <= 65535:
            raise ArgumentError("Destination", "port", f"is {self.port} and must be 1 to 65535", "Name its TCP port.")
        for cidr in self.cidrs:
            if isinstance(cidr, str):
                _check_cidr(cidr)

    def rule(self) -> Manifest:
        """As a rule of `egress`."""
        return {
            "to": [{"ipBlock": {"cidr": cidr}} for cidr in self.cidrs],
            "ports": [{"protocol": "TCP", "port": self.port}],
        }


def _check_cidr(cidr: str) -> None:
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError:
        raise ArgumentError(
            "Destination", "cidrs", f"has {cidr!r}", "List networks like 10.0.16.0/20, without host bits."
        ) from None
    if network.prefixlen == 0:
        raise ArgumentError("Destination", "cidrs", f"has {cidr!r}, the whole world", "Name the subnets it is in.")


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """Arguments of `NetworkPolicies`.

    Attributes:
        namespace: of the stack.
        database, cache: where they are.
        lightning: LND's REST port; None when the rail is off.
        gateway_namespace: where the gateway's proxies run.
        scraper_namespace: where Prometheus runs.
        archive: whether there is an audit archive, which one job reads on 443.
    """

    namespace: pulumi.Input[str]
    database: Destination
    cache: Destination
    lightning: Destination | None
    gateway_namespace: str
    scraper_namespace: str
    archive: bool = False

    def __post_init__(self) -> None:
        for key in ("gateway_namespace", "scraper_namespace"):
            if not getattr(self, key):
                raise ArgumentError(
                    "NetworkPoliciesArgs", key, "is empty, which would be every namespace", "Name the namespace."
                )


class NetworkPolicies(pulumi.ComponentResource):
    """Attributes: `policies` by name."""

    def __init__(self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:NetworkPolicies", name, None, opts)
        self._name, self._args = name, args
        scraper, gateway = _from(args.scraper_namespace), _from(args.gateway_namespace)
        lightning = [args.lightning.rule()] if args.lightning else []
        service = [_dns(), args.database.rule(), args.cache.rule(), _https(), *lightning]
        self.policies = {
            "default-deny": self._policy("default-deny", "railyard", {}, [], []),
            "web": self._policy(
                "web", APPLICATION, selector(APPLICATION), [_port([gateway, scraper], WEB_PORT)], service
            ),
            "worker": self._policy("worker", WORKER, selector(WORKER), [_port([scraper], WORKER_PORT)], service),
            "migration": self._policy("migration", MIGRATION, selector(MIGRATION), [], [_dns(), args.database.rule()]),
            "maintenance": self._policy(
                "maintenance", MAINTENANCE, selector(MAINTENANCE), [], [_dns(), args.database.rule()]
            ),
        }
        if args.archive:
            audit = [_dns(), args.database.rule(), _https()]
            self.policies["archive"] = self._policy("archive", ARCHIVE, selector(ARCHIVE), [], audit)
        self.register_outputs({"policies": sorted(self.policies)})

    def _policy(
        self, name: str, app: str, pods: Manifest, ingress: Sequence[Manifest], egress: Sequence[Manifest]
    ) -> NetworkPolicy:
        return NetworkPolicy(
            f"{self._name}-{name}",
            metadata=metadata(name, self._args.namespace, app),
            spec={
                "podSelector": pods,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": list(ingress),
                "egress": list(egress),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )


def _from(namespace: str) -> Manifest:
    # The API server labels every namespace with its name; nobody else can take it.
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}


def _port(peers: Sequence[Manifest], port: int) -> Manifest:
    return {"from": list(peers), "ports": [{"protocol": "TCP", "port": port}]}


def _dns() -> Manifest:
    peer = {**_from("kube-system"), "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    return {"to": [peer], "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}


def _https() -> Manifest:
    """The rails' networks and AWS, whose addresses change: anywhere, on 443 alone."""
    return {
        "to": [{"ipBlock": {"cidr": EVERYWHERE, "except": [METADATA_SERVICE]}}],
        "ports": [{"protocol": "TCP", "port": 443}],
    }
