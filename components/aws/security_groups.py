"""Who may talk to whom (`railyard:aws:SecurityGroups`), by groups that name groups:

- the world reaches the load balancer on 443, and nothing else reaches anything from outside;
- the load balancer reaches tasks on the service's port alone;
- tasks reach the database, the cache, 443 anywhere, and LND's addresses on LND's port;
- rotation functions reach the database, the cache and 443; nothing reaches them;
- database and cache open no connection at all.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.tags import check_tags, named

POSTGRES_PORT, REDIS_PORT, HTTPS_PORT = 5432, 6379, 443
WORLD = "0.0.0.0/0"
STORES = {"database": ("PostgreSQL", POSTGRES_PORT), "cache": ("Redis", REDIS_PORT)}


@dataclass(frozen=True, kw_only=True)
class SecurityGroupsArgs:
    """Arguments of `SecurityGroups`.

    Attributes:
        vpc_id: the VPC.
        service_port: port that tasks listen on.
        lnd_cidrs: address ranges of LND; without any, tasks leave on 443 alone.
        lnd_port: port of LND's REST interface.
        stores: which of database and cache are the stack's own; one that is given has no group here.
        tags: the required tags, and more.
    """

    vpc_id: pulumi.Input[str]
    service_port: int = 3001
    lnd_cidrs: tuple[str, ...] = ()
    lnd_port: int = 8080
    stores: tuple[str, ...] = tuple(STORES)
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        for cidr in self.lnd_cidrs:
            fix = "Name LND's own address, as 203.0.113.7/32."
            try:
                network = ipaddress.ip_network(cidr)
            except ValueError:
                what = f"has {cidr!r}, which is no address range"
                raise ArgumentError("SecurityGroupsArgs", "lnd_cidrs", what, fix) from None
            if network.version != 4 or network.prefixlen < 16:
                raise ArgumentError("SecurityGroupsArgs", "lnd_cidrs", f"has {cidr!r}, which is too wide", fix)
        for key, port in (("service_port", self.service_port), ("lnd_port", self.lnd_port)):
            if not 1 <= port <= 65535:
                raise ArgumentError("SecurityGroupsArgs", key, f"is {port}", "Use a port from 1 to 65535.")
        check_tags("SecurityGroupsArgs", self.tags)


class SecurityGroups(pulumi.ComponentResource):
    """The groups, by id: `load_balancer_id`, `task_id`, `database_id`, `cache_id`, `function_id`."""

    def __init__(self, name: str, args: SecurityGroupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:SecurityGroups", name, None, opts)
        self._name, self._args = name, args
        self.load_balancer_id = self._group("load-balancer", "Load balancer, open to the world on 443")
        self.task_id = self._group("task", "Tasks of the payment service")
        stores = {store: STORES[store] for store in args.stores}
        self._stores = {
            store: self._group(store, f"{server}, for tasks and rotation functions")
            for store, (server, _) in stores.items()
        }
        self.function_id = self._group("function", "Rotation functions, which nothing calls by network")

        self._ingress("load-balancer-world", self.load_balancer_id, HTTPS_PORT, cidr=WORLD)
        self._pass("load-balancer-task", self.load_balancer_id, self.task_id, args.service_port)
        for source, group_id in (("task", self.task_id), ("function", self.function_id)):
            for store, (_, port) in stores.items():
                self._pass(f"{source}-{store}", group_id, self._stores[store], port)
            self._egress(f"{source}-https", group_id, HTTPS_PORT, cidr=WORLD)
        for index, cidr in enumerate(args.lnd_cidrs):
            self._egress(f"task-lnd-{index}", self.task_id, args.lnd_port, cidr=cidr)
        self.register_outputs(
            {
                "loadBalancerId": self.load_balancer_id,
                "taskId": self.task_id,
                **{f"{store}Id": group_id for store, group_id in self._stores.items()},
                "functionId": self.function_id,
            }
        )

    @property
    def database_id(self) -> pulumi.Output[str]:
        """Of the stack's own database."""
        return self._stores["database"]

    @property
    def cache_id(self) -> pulumi.Output[str]:
        """Of the stack's own cache."""
        return self._stores["cache"]

    def _group(self, suffix: str, description: str) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-{suffix}",
            vpc_id=self._args.vpc_id,
            description=description,
            tags=named(self._args.tags, f"{self._name}-{suffix}"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return pulumi.Output.from_input(group.id)

    def _pass(self, suffix: str, source: pulumi.Output[str], target: pulumi.Output[str], port: int) -> None:
        """Let one group open connections to another."""
        self._egress(suffix, source, port, group=target)
        self._ingress(suffix, target, port, group=source)

    def _ingress(
        self,
        suffix: str,
        group_id: pulumi.Output[str],
        port: int,
        *,
        cidr: str | None = None,
        group: pulumi.Output[str] | None = None,
    ) -> None:
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-{suffix}",
            security_group_id=group_id,
            description=f"In: {suffix}",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            cidr_ipv4=cidr,
            referenced_security_group_id=group,
            tags=named(self._args.tags, f"{self._name}-{suffix}"),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _egress(
        self,
        suffix: str,
        group_id: pulumi.Output[str],
        port: int,
        *,
        cidr: str | None = None,
        group: pulumi.Output[str] | None = None,
    ) -> None:
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-{suffix}",
            security_group_id=group_id,
            description=f"Out: {suffix}",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            cidr_ipv4=cidr,
            referenced_security_group_id=group,
            tags=named(self._args.tags, f"{self._name}-{suffix}"),
            opts=pulumi.ResourceOptions(parent=self),
        )
