"""The network of a stack in AWS (`railyard:aws:Network`):

- a VPC over three availability zones, each with a public, a private and a data subnet;
- an internet gateway for the public ones, NAT gateways (one a zone, or a single one) for the private ones; the data
  subnets have no way out;
- a gateway endpoint for S3 and interface endpoints for what tasks call all the time;
- a default security group without rules, so that nothing is reachable by forgetting to name a group;
- flow logs of all traffic, encrypted, with a retention.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.policy_documents import allow, document, service_trust
from components.tags import check_tags, named

ENDPOINT_SERVICES = ("ecr.api", "ecr.dkr", "logs", "monitoring", "secretsmanager", "kms")
"""What tasks call all the time: image layers, logs, metrics, secrets and keys do not go through the NAT gateway."""


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Arguments of `Network`.

    Attributes:
        account_id: of the AWS account.
        region: where it is made, as eu-central-1.
        zones: names of three availability zones of the region.
        cidr: the VPC's address range, a /16.
        nat_gateway_a_zone: one NAT gateway a zone, which survives the loss of one; else a single one.
        endpoint_services: services reached by interface endpoints, without "com.amazonaws.<region>.".
        log_key_arn: KMS key of the flow logs; CloudWatch Logs must be allowed to use it.
        flow_log_retention_days: how long flow logs are kept.
        tags: the required tags, and more.
    """

    account_id: str
    region: str
    zones: tuple[str, ...]
    cidr: str
    nat_gateway_a_zone: bool = True
    endpoint_services: tuple[str, ...] = ENDPOINT_SERVICES
    log_key_arn: pulumi.Input[str]
    flow_log_retention_days: int = 90
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if len(set(self.zones)) != 3:
            what = f"are {list(self.zones)}, and three different ones are needed"
            raise ArgumentError("NetworkArgs", "zones", what, "Name three availability zones of the region.")
        if not re.fullmatch(r"(\d{1,3}\.){2}0\.0/16", self.cidr):
            what = f"is {self.cidr!r}, and must be a /16"
            raise ArgumentError("NetworkArgs", "cidr", what, "Write a range like 10.40.0.0/16.")
        check_tags("NetworkArgs", self.tags)

    def subnets(self, kind: str) -> list[str]:
        """The three ranges of the subnets of a kind: /19 for private, /24 for public and data."""
        large = list(ipaddress.IPv4Network(self.cidr).subnets(new_prefix=19))
        if kind == "private":
            return [str(network) for network in large[:3]]
        small = list(large[{"public": 3, "data": 4}[kind]].subnets(new_prefix=24))
        return [str(network) for network in small[:3]]


class Network(pulumi.ComponentResource):
    """The VPC; of each zone `public_subnet_ids`, `private_subnet_ids`, `data_subnet_ids` and `data_cidrs`."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        self.vpc_id: pulumi.Output[str] = self._vpc.id
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=self.vpc_id, ingress=[], egress=[], tags=self._tags("default"), opts=self._child
        )
        public, private, data = (self._subnets(kind) for kind in ("public", "private", "data"))
        self.public_subnet_ids: list[pulumi.Output[str]] = [subnet.id for subnet in public]
        self.private_subnet_ids: list[pulumi.Output[str]] = [subnet.id for subnet in private]
        self.data_subnet_ids: list[pulumi.Output[str]] = [subnet.id for subnet in data]
        self.data_cidrs: tuple[str, ...] = tuple(args.subnets("data"))
        tables = self._routes()
        self._endpoints(tables)
        self._flow_logs()
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "publicSubnetIds": self.public_subnet_ids,
                "privateSubnetIds": self.private_subnet_ids,
                "dataSubnetIds": self.data_subnet_ids,
            }
        )

    def _tags(self, suffix: str) -> dict[str, str]:
        return named(self._args.tags, f"{self._name}-{suffix}")

    def _subnets(self, kind: str) -> list[aws.ec2.Subnet]:
        return [
            aws.ec2.Subnet(
                f"{self._name}-{kind}-{index}",
                vpc_id=self.vpc_id,
                cidr_block=cidr,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags=self._tags(f"{kind}-{index}"),
                opts=self._child,
            )
            for index, (zone, cidr) in enumerate(zip(self._args.zones, self._args.subnets(kind), strict=True))
        ]

    def _table(self, kind: str, subnet_ids: list[pulumi.Output[str]], first: int = 0) -> aws.ec2.RouteTable:
        table = aws.ec2.RouteTable(f"{self._name}-{kind}", vpc_id=self.vpc_id, tags=self._tags(kind), opts=self._child)
        for index, subnet_id in enumerate(subnet_ids, first):
            aws.ec2.RouteTableAssociation(
                f"{self._name}-{kind.split('-')[0]}-{index}",
                route_table_id=table.id,
                subnet_id=subnet_id,
                opts=self._child,
            )
        return table

    def _routes(self) -> list[aws.ec2.RouteTable]:
        """The route tables; returns those of the private and data subnets."""
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=self.vpc_id, tags=self._tags("internet"), opts=self._child
        )
        public = self._table("public", self.public_subnet_ids)
        aws.ec2.Route(
            f"{self._name}-public",
            route_table_id=public.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._child,
        )
        count = 3 if self._args.nat_gateway_a_zone else 1
        gateways = [self._nat(index, gateway) for index in range(count)]
        private = []
        for index, subnet_id in enumerate(self.private_subnet_ids):
            table = self._table(f"private-{index}", [subnet_id], index)
            aws.ec2.Route(
                f"{self._name}-private-{index}",
                route_table_id=table.id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateways[index % count].id,
                opts=self._child,
            )
            private.append(table)
        return [*private, self._table("data", self.data_subnet_ids)]

    def _nat(self, index: int, internet: aws.ec2.InternetGateway) -> aws.ec2.NatGateway:
        address = aws.ec2.Eip(
            f"{self._name}-nat-{index}", domain="vpc", tags=self._tags(f"nat-{index}"), opts=self._child
        )
        return aws.ec2.NatGateway(
            f"{self._name}-nat-{index}",
            allocation_id=address.id,
            subnet_id=self.public_subnet_ids[index],
            tags=self._tags(f"nat-{index}"),
            # A NAT gateway without the way out that it uses does not come up.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[internet]),
        )

    def _endpoints(self, tables: list[aws.ec2.RouteTable]) -> None:
        args = self._args
        aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=self._tags("s3"),
            opts=self._child,
        )
        group = aws.ec2.SecurityGroup(
            f"{self._name}-endpoints",
            vpc_id=self.vpc_id,
            description="Interface endpoints, for the VPC alone",
            tags=self._tags("endpoints"),
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-endpoints-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=args.cidr,
            tags=self._tags("endpoints-https"),
            opts=self._child,
        )
        for service in args.endpoint_services:
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service.replace('.', '-')}",
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{args.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.private_subnet_ids,
                security_group_ids=[group.id],
                tags=self._tags(service),
                opts=self._child,
            )

    def _flow_logs(self) -> None:
        args = self._args
        group = aws.cloudwatch.LogGroup(
            f"{self._name}-flow-logs",
            retention_in_days=args.flow_log_retention_days,
            kms_key_id=args.log_key_arn,
            tags=self._tags("flow-logs"),
            opts=self._child,
        )
        role = aws.iam.Role(
            f"{self._name}-flow-logs",
            assume_role_policy=json.dumps(
                service_trust(
                    "vpc-flow-logs.amazonaws.com", {"StringEquals": {"aws:SourceAccount": self._args.account_id}}
                )
            ),
            tags=self._tags("flow-logs"),
            opts=self._child,
        )
        write = allow(
            "WriteFlowLogs",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [pulumi.Output.concat(group.arn, ":log-stream:*")],
        )
        look = allow("FindStreams", ["logs:DescribeLogStreams"], [pulumi.Output.concat(group.arn, ":*")])
        policy = aws.iam.RolePolicy(
            f"{self._name}-flow-logs",
            role=role.id,
            policy=pulumi.Output.json_dumps(document(write, look)),
            opts=self._child,
        )
        aws.ec2.FlowLog(
            f"{self._name}-flow-log",
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags=self._tags("flow-log"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
