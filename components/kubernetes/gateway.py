"""The way in (`railyard:kubernetes:Gateway`), by the Gateway API:

- a Gateway of the stack: 443 with TLS 1.2 or newer, and 80, which only redirects;
- the main route, which matches the path prefix `/` and nothing else, so that a standby's route can outrank it;
- a route that hides `/metrics`, which is for the scraper alone.

The main route's backends belong to the rollout after the first deployment: its `spec.rules` are left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from components.arguments import ArgumentError
from components.kubernetes.names import APPLICATION, WEB_PORT, Manifest, metadata, service_name

API = "gateway.networking.k8s.io/v1"
GATEWAY = "payments"
CERTIFICATE_SECRET = "payments-certificate"  # noqa: S105 (name of the object)
HSTS = "max-age=63072000; includeSubDomains; preload"
_HOST = re.compile(r"(?=.{4,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """Arguments of `Gateway`.

    Attributes:
        namespace: of the stack.
        gateway_class: GatewayClass of the cluster's gateway controller.
        hostname: the service's, as pay.example.com.
        certificate_issuer: ClusterIssuer of cert-manager that makes the certificate.
        service: name of the Service behind the route.
        rollout_owns_rules: whether the route's rules are left to the rollout once it is there.
    """

    namespace: pulumi.Input[str]
    gateway_class: str
    hostname: str
    certificate_issuer: str
    service: pulumi.Input[str]
    rollout_owns_rules: bool = True

    def __post_init__(self) -> None:
        service_name("GatewayArgs", "service", self.service)
        if not _HOST.fullmatch(self.hostname):
            raise ArgumentError(
                "GatewayArgs", "hostname", f"is {self.hostname!r}", "Give one whole host name, like pay.example.com."
            )
        for key in ("gateway_class", "certificate_issuer"):
            if not getattr(self, key):
                raise ArgumentError("GatewayArgs", key, "is empty", "Name the one that the cluster has.")


class Gateway(pulumi.ComponentResource):
    """Attributes: `gateway`, `route`, `url`."""

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Gateway", name, None, opts)
        self._name, self._args = name, args
        self.gateway = self._gateway()
        self.route = self._route(
            "route",
            APPLICATION,
            "https",
            [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "filters": [_hsts()],
                    "backendRefs": [
                        {"group": "", "kind": "Service", "name": args.service, "port": WEB_PORT, "weight": 1}
                    ],
                }
            ],
            ["spec.rules"] if args.rollout_owns_rules else [],
        )
        self.hidden = self._route(
            "hidden",
            "hidden-metrics",
            "https",
            [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/metrics"}}],
                    # To a path that the service does not know, which answers 404 as it answers any other.
                    "filters": [
                        {
                            "type": "URLRewrite",
                            "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/not-found"}},
                        }
                    ],
                    "backendRefs": [
                        {"group": "", "kind": "Service", "name": args.service, "port": WEB_PORT, "weight": 1}
                    ],
                }
            ],
        )
        redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}
        self.redirect = self._route("redirect", "redirect-to-https", "http", [{"filters": [redirect]}])
        self.url = f"https://{args.hostname}"
        self.register_outputs({"url": self.url})

    def _gateway(self) -> CustomResource:
        args = self._args
        routes = {"namespaces": {"from": "Same"}}
        described = metadata(
            GATEWAY, args.namespace, "railyard", {"cert-manager.io/cluster-issuer": args.certificate_issuer}
        )
        return CustomResource(
            f"{self._name}-gateway",
            api_version=API,
            kind="Gateway",
            metadata=described,
            spec={
                "gatewayClassName": args.gateway_class,
                "listeners": [
                    {
                        "name": "https",
                        "port": 443,
                        "protocol": "HTTPS",
                        "hostname": args.hostname,
                        "tls": {
                            "mode": "Terminate",
                            "certificateRefs": [{"group": "", "kind": "Secret", "name": CERTIFICATE_SECRET}],
                        },
                        "allowedRoutes": routes,
                    },
                    {
                        "name": "http",
                        "port": 80,
                        "protocol": "HTTP",
                        "hostname": args.hostname,
                        "allowedRoutes": routes,
                    },
                ],
            },
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _route(
        self, part: str, name: str, listener: str, rules: list[Manifest], ignored: list[str] | None = None
    ) -> CustomResource:
        args = self._args
        return CustomResource(
            f"{self._name}-{part}",
            api_version=API,
            kind="HTTPRoute",
            metadata=metadata(name, args.namespace, APPLICATION),
            spec={
                "parentRefs": [
                    {
                        "group": "gateway.networking.k8s.io",
                        "kind": "Gateway",
                        "name": GATEWAY,
                        "sectionName": listener,
                    }
                ],
                "hostnames": [args.hostname],
                "rules": rules,
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.gateway], ignore_changes=ignored or []),
        )


def _hsts() -> Manifest:
    header = {"name": "Strict-Transport-Security", "value": HSTS}
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [header]}}
