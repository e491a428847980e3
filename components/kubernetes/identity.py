"""Who the pods are and who may look at them (`railyard:kubernetes:Identity`):

- a ServiceAccount for each of web, worker, migration, secrets and auditor, none with a token of the API in its pods;
- a Role that reads what `verify` checks, bound to the group `railyard:verify`; nobody here may write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import ServiceAccount
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding

from components.arguments import ArgumentError
from components.kubernetes.names import metadata

ACCOUNTS = ("web", "worker", "migration", "secrets", "auditor")
READER_GROUP = "railyard:verify"
READABLE = {
    "": ["pods", "services", "serviceaccounts", "configmaps", "endpoints", "events"],
    "apps": ["deployments", "replicasets"],
    "batch": ["jobs", "cronjobs"],
    "autoscaling": ["horizontalpodautoscalers"],
    "policy": ["poddisruptionbudgets"],
    "networking.k8s.io": ["networkpolicies"],
    "gateway.networking.k8s.io": ["gateways", "httproutes"],
    "external-secrets.io": ["externalsecrets", "secretstores"],
    "monitoring.coreos.com": ["servicemonitors", "podmonitors", "prometheusrules"],
}


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """Arguments of `Identity`.

    Attributes:
        namespace: of the stack.
        role_arns: AWS role an account may assume, by account (IAM roles for service accounts).
    """

    namespace: pulumi.Input[str]
    role_arns: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for account in self.role_arns:
            if account not in ACCOUNTS:
                raise ArgumentError(
                    "IdentityArgs", "role_arns", f"names {account!r}", f"The accounts are {', '.join(ACCOUNTS)}."
                )


class Identity(pulumi.ComponentResource):
    """Attributes: `names`, the ServiceAccount's name by account."""

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Identity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.accounts: dict[str, ServiceAccount] = {}
        for account in ACCOUNTS:
            described = metadata(f"payments-{account}", args.namespace, "railyard")
            if account in args.role_arns:
                described["annotations"] = {"eks.amazonaws.com/role-arn": args.role_arns[account]}
            self.accounts[account] = ServiceAccount(
                f"{name}-{account}", metadata=described, automount_service_account_token=False, opts=child
            )
        self.names: dict[str, pulumi.Output[str]] = {
            account: made.metadata["name"] for account, made in self.accounts.items()
        }
        self.role = Role(
            f"{name}-reader",
            metadata=metadata("payments-reader", args.namespace, "railyard"),
            rules=[
                {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]}
                for group, resources in READABLE.items()
            ],
            opts=child,
        )
        self.binding = RoleBinding(
            f"{name}-readers",
            metadata=metadata("payments-readers", args.namespace, "railyard"),
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "payments-reader"},
            subjects=[{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": READER_GROUP}],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.role]),
        )
        self.register_outputs({"accounts": self.names})
