"""EC2's network: VPC, subnets, gateways, routes, endpoints, flow logs.

Source of what replaces: terraform-provider-aws `internal/service/ec2/vpc_*.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.aws.kind import Kind, More, Op, Scope, Setting, Tagging, Wait

TAGGING = Tagging(
    add=Op("create_tags", {"Resources": ["$id"], "Tags": "$tags"}),
    remove=Op("delete_tags", {"Resources": ["$id"], "Tags": lambda scope: [{"Key": key} for key in scope["keys"]]}),
)


def attribute(member: str, name: str) -> Setting:
    """A VPC's attribute: each has a call of its own."""
    return Setting((name,), Op("modify_vpc_attribute", {"VpcId": "$id", member: {"Value": f"${name}"}}, only=()))


def vpc_attribute(member: str) -> More:
    shown = Op("describe_vpc_attribute", {"VpcId": "$id", "Attribute": member[0].lower() + member[1:]})
    return More(shown, f"{member}.Value", member)


def of_vpc(method: str, at: str, into: str, *filters: tuple[str, str]) -> More:
    """The VPC's default thing of another kind."""
    wanted = [{"Name": "vpc-id", "Values": ["$id"]}, *({"Name": name, "Values": [value]} for name, value in filters)]
    return More(Op(method, {"Filters": wanted}), at, into)


def other_tenancy(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """A VPC's tenancy changes in place only from dedicated to default."""
    freed = (old.get("instanceTenancy"), new.get("instanceTenancy")) == ("dedicated", "default")
    return () if freed else ("instanceTenancy",)


def assigned_ipv6(old: Mapping[str, Any], _: Mapping[str, Any]) -> tuple[str, ...]:
    """A subnet that gives out addresses of its IPv6 block keeps the block."""
    return ("ipv6CidrBlock",) if old.get("assignIpv6AddressOnCreation") else ()


def regional(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a NAT gateway is for good by what else it is: its way to its zones, and a private one's count."""
    found: tuple[str, ...] = ()
    if bool(old.get("availabilityZoneAddresses")) != bool(new.get("availabilityZoneAddresses")):
        found += ("availabilityZoneAddresses",)
    if new.get("secondaryPrivateIpAddressCount") is not None:
        found += ("secondaryPrivateIpAddressCount",)
    return found


def no_interface(_: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Only an interface endpoint's private DNS is switched in place."""
    return () if new.get("vpcEndpointType") == "Interface" else ("privateDnsEnabled",)


VPC = Kind(
    type="aws:ec2/vpc:Vpc",
    service="ec2",
    create=Op("create_vpc"),
    read=Op("describe_vpcs", {"VpcIds": ["$id"]}),
    at="Vpcs[0]",
    delete=Op("delete_vpc", {"VpcId": "$id"}),
    id="Vpc.VpcId",
    defaults={"enableDnsSupport": True, "instanceTenancy": "default"},
    outputs={
        "arn": "arn:aws:ec2:$region:$account:vpc/$id",
        "ownerId": "OwnerId",
        "dhcpOptionsId": "DhcpOptionsId",
        "defaultSecurityGroupId": "defaultSecurityGroupId",
        "defaultNetworkAclId": "defaultNetworkAclId",
        "defaultRouteTableId": "mainRouteTableId",
        "mainRouteTableId": "mainRouteTableId",
    },
    more=(
        vpc_attribute("EnableDnsSupport"),
        vpc_attribute("EnableDnsHostnames"),
        of_vpc(
            "describe_security_groups", "SecurityGroups[0].GroupId", "defaultSecurityGroupId", ("group-name", "default")
        ),
        of_vpc("describe_network_acls", "NetworkAcls[0].NetworkAclId", "defaultNetworkAclId", ("default", "true")),
        of_vpc(
            "describe_route_tables", "RouteTables[0].RouteTableId", "mainRouteTableId", ("association.main", "true")
        ),
    ),
    settings=(attribute("EnableDnsSupport", "enableDnsSupport"), attribute("EnableDnsHostnames", "enableDnsHostnames")),
    replaces_on=("cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength"),
    replaces_when=other_tenancy,
    waits=(Wait("State", ("available",)),),
    tag_type="vpc",
    tagging=TAGGING,
)

SUBNET = Kind(
    type="aws:ec2/subnet:Subnet",
    service="ec2",
    create=Op("create_subnet"),
    read=Op("describe_subnets", {"SubnetIds": ["$id"]}),
    at="Subnets[0]",
    delete=Op("delete_subnet", {"SubnetId": "$id"}),
    id="Subnet.SubnetId",
    outputs={"arn": "SubnetArn", "ownerId": "OwnerId", "availabilityZoneId": "AvailabilityZoneId"},
    defaults={"mapPublicIpOnLaunch": False},
    settings=(
        Setting(
            ("mapPublicIpOnLaunch",),
            Op(
                "modify_subnet_attribute",
                {"SubnetId": "$id", "MapPublicIpOnLaunch": {"Value": "$mapPublicIpOnLaunch"}},
                only=(),
            ),
        ),
    ),
    replaces_on=(
        "vpcId",
        "cidrBlock",
        "availabilityZone",
        "availabilityZoneId",
        "outpostArn",
        "ipv4IpamPoolId",
        "ipv4NetmaskLength",
        "ipv6IpamPoolId",
        "ipv6Native",
        "ipv6NetmaskLength",
    ),
    replaces_when=assigned_ipv6,
    tag_type="subnet",
    tagging=TAGGING,
)

INTERNET_GATEWAY = Kind(
    type="aws:ec2/internetGateway:InternetGateway",
    service="ec2",
    create=Op("create_internet_gateway"),
    read=Op("describe_internet_gateways", {"InternetGatewayIds": ["$id"]}),
    at="InternetGateways[0]",
    delete=Op("delete_internet_gateway", {"InternetGatewayId": "$id"}),
    before_delete=(Op("detach_internet_gateway", {"InternetGatewayId": "$id", "VpcId": "$vpcId"}),),
    id="InternetGateway.InternetGatewayId",
    answers={"vpcId": "Attachments[0].VpcId"},
    outputs={"arn": "arn:aws:ec2:$region:$account:internet-gateway/$id", "ownerId": "$account"},
    settings=(
        Setting(
            ("vpcId",),
            Op("attach_internet_gateway", {"InternetGatewayId": "$id", "VpcId": "$vpcId"}, only=()),
            before=Op(
                "detach_internet_gateway",
                {"InternetGatewayId": "$id", "VpcId": lambda scope: scope["was"].get("vpcId")},
            ),
        ),
    ),
    tag_type="internet-gateway",
    tagging=TAGGING,
)

EIP = Kind(
    type="aws:ec2/eip:Eip",
    service="ec2",
    create=Op("allocate_address"),
    read=Op("describe_addresses", {"AllocationIds": ["$id"]}),
    at="Addresses[0]",
    delete=Op("release_address", {"AllocationId": "$id"}),
    id="AllocationId",
    outputs={
        "allocationId": "AllocationId",
        "publicIp": "PublicIp",
        "associationId": "AssociationId",
        "arn": "arn:aws:ec2:$region:$account:elastic-ip/$id",
    },
    replaces_on=("domain", "publicIpv4Pool", "address", "networkBorderGroup", "ipamPoolId"),
    tag_type="elastic-ip",
    tagging=TAGGING,
)

NAT_GATEWAY = Kind(
    type="aws:ec2/natGateway:NatGateway",
    service="ec2",
    create=Op("create_nat_gateway"),
    read=Op("describe_nat_gateways", {"NatGatewayIds": ["$id"]}),
    at="NatGateways[0]",
    gone_when="State == 'deleted'",
    delete=Op("delete_nat_gateway", {"NatGatewayId": "$id"}),
    wait_gone=True,
    id="NatGateway.NatGatewayId",
    answers={"allocationId": "NatGatewayAddresses[0].AllocationId"},
    outputs={
        "publicIp": "NatGatewayAddresses[0].PublicIp",
        "privateIp": "NatGatewayAddresses[0].PrivateIp",
        "networkInterfaceId": "NatGatewayAddresses[0].NetworkInterfaceId",
        "associationId": "NatGatewayAddresses[0].AssociationId",
    },
    defaults={"connectivityType": "public"},
    replaces_on=("allocationId", "subnetId", "connectivityType", "privateIp", "availabilityMode", "vpcId"),
    replaces_when=regional,
    waits=(Wait("State", ("available",), ("failed",)),),
    tag_type="natgateway",
    tagging=TAGGING,
)

ROUTE_TABLE = Kind(
    type="aws:ec2/routeTable:RouteTable",
    service="ec2",
    create=Op("create_route_table", only=("vpcId",)),
    read=Op("describe_route_tables", {"RouteTableIds": ["$id"]}),
    at="RouteTables[0]",
    delete=Op("delete_route_table", {"RouteTableId": "$id"}),
    id="RouteTable.RouteTableId",
    outputs={"arn": "arn:aws:ec2:$region:$account:route-table/$id", "ownerId": "OwnerId"},
    replaces_on=("vpcId",),
    tag_type="route-table",
    tagging=TAGGING,
)


def route_destination(scope: Scope) -> dict[str, Any]:
    """The one destination that a route has."""
    names = {
        "destinationCidrBlock": "DestinationCidrBlock",
        "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
        "destinationPrefixListId": "DestinationPrefixListId",
    }
    return {member: scope[name] for name, member in names.items() if scope.get(name)}


def route(answer: Any, scope: Scope) -> Any:
    """Of a table's routes the one with this destination."""
    tables = answer.get("RouteTables") or [{}]
    wanted = route_destination(scope).items()
    return next((route for route in tables[0].get("Routes", []) if wanted <= route.items()), None)


def _route_prepare(scope: dict[str, Any]) -> None:
    scope["destination"] = next(iter(route_destination(scope).values()), "")


ROUTE = Kind(
    type="aws:ec2/route:Route",
    service="ec2",
    create=Op("create_route"),
    read=Op("describe_route_tables", {"RouteTableIds": ["$routeTableId"]}),
    at=route,
    update=Op("replace_route"),
    delete=Op(
        "delete_route",
        {
            "RouteTableId": "$routeTableId",
            "DestinationCidrBlock": "$destinationCidrBlock",
            "DestinationIpv6CidrBlock": "$destinationIpv6CidrBlock",
            "DestinationPrefixListId": "$destinationPrefixListId",
        },
    ),
    id="r-$routeTableId$destination",
    prepare=_route_prepare,
    outputs={"state": "active", "origin": "CreateRoute"},
    unread=("routeTableId",),
    replaces_on=("routeTableId", "destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId"),
)


def _association(answer: Any, scope: Scope) -> Any:
    """Of the tables' associations the one with this id."""
    associations = [one for table in answer.get("RouteTables") or [] for one in table.get("Associations") or []]
    return next((one for one in associations if one.get("RouteTableAssociationId") == scope["id"]), None)


ROUTE_TABLE_ASSOCIATION = Kind(
    type="aws:ec2/routeTableAssociation:RouteTableAssociation",
    service="ec2",
    create=Op("associate_route_table"),
    read=Op(
        "describe_route_tables", {"Filters": [{"Name": "association.route-table-association-id", "Values": ["$id"]}]}
    ),
    at=_association,
    update=Op("replace_route_table_association", {"AssociationId": "$id", "RouteTableId": "$routeTableId"}, only=()),
    delete=Op("disassociate_route_table", {"AssociationId": "$id"}),
    id="AssociationId",
    replaces_on=("subnetId", "gatewayId"),
)

VPC_ENDPOINT = Kind(
    type="aws:ec2/vpcEndpoint:VpcEndpoint",
    service="ec2",
    create=Op("create_vpc_endpoint", names={"policy": "PolicyDocument"}),
    read=Op("describe_vpc_endpoints", {"VpcEndpointIds": ["$id"]}),
    at="VpcEndpoints[0]",
    gone_when="State == 'deleted'",
    update=Op(
        "modify_vpc_endpoint",
        {"VpcEndpointId": "$id", "PolicyDocument": "$policy", "PrivateDnsEnabled": "$privateDnsEnabled"},
        only=(),
    ),
    delete=Op("delete_vpc_endpoints", {"VpcEndpointIds": ["$id"]}),
    id="VpcEndpoint.VpcEndpointId",
    answers={
        "policy": "PolicyDocument",
        "securityGroupIds": "Groups[].GroupId",
    },
    outputs={
        "arn": "arn:aws:ec2:$region:$account:vpc-endpoint/$id",
        "state": "State",
        "ownerId": "OwnerId",
        "networkInterfaceIds": "NetworkInterfaceIds",
        "dnsEntries": "DnsEntries[].{dnsName: DnsName, hostedZoneId: HostedZoneId}",
    },
    defaults={"vpcEndpointType": "Gateway"},
    replaces_on=(
        "vpcId",
        "serviceName",
        "serviceRegion",
        "vpcEndpointType",
        "resourceConfigurationArn",
        "serviceNetworkArn",
        "dnsOptions.privateDnsPreference",
        "dnsOptions.privateDnsSpecifiedDomains",
    ),
    replaces_when=no_interface,
    waits=(Wait("State", ("available",), ("failed",)),),
    tag_type="vpc-endpoint",
    tagging=TAGGING,
)

FLOW_LOG = Kind(
    type="aws:ec2/flowLog:FlowLog",
    service="ec2",
    create=Op(
        "create_flow_logs",
        {
            "ResourceIds": lambda scope: [scope.get("vpcId") or scope.get("subnetId") or scope.get("eniId")],
            "ResourceType": lambda scope: (
                "VPC" if scope.get("vpcId") else "Subnet" if scope.get("subnetId") else "NetworkInterface"
            ),
            "DeliverLogsPermissionArn": "$iamRoleArn",
        },
    ),
    read=Op("describe_flow_logs", {"FlowLogIds": ["$id"]}),
    at="FlowLogs[0]",
    delete=Op("delete_flow_logs", {"FlowLogIds": ["$id"]}),
    id="FlowLogIds[0]",
    answers={"vpcId": "ResourceId", "subnetId": "ResourceId", "iamRoleArn": "DeliverLogsPermissionArn"},
    outputs={"arn": "arn:aws:ec2:$region:$account:vpc-flow-log/$id"},
    defaults={"maxAggregationInterval": 600, "logDestinationType": "cloud-watch-logs"},
    replaces_on=(
        "trafficType",
        "vpcId",
        "subnetId",
        "eniId",
        "regionalNatGatewayId",
        "transitGatewayAttachmentId",
        "transitGatewayId",
        "deliverCrossAccountRole",
        "iamRoleArn",
        "logDestination",
        "logDestinationType",
        "logFormat",
        "maxAggregationInterval",
        "destinationOptions",
    ),
    tag_type="vpc-flow-log",
    tagging=TAGGING,
)

KINDS = [
    VPC,
    SUBNET,
    INTERNET_GATEWAY,
    EIP,
    NAT_GATEWAY,
    ROUTE_TABLE,
    ROUTE,
    ROUTE_TABLE_ASSOCIATION,
    VPC_ENDPOINT,
    FLOW_LOG,
]
