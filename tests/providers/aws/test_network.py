"""The network and its security groups, through their whole lives."""

from __future__ import annotations

from tests.providers.aws.documents import ROLE_ARN
from tests.providers.aws.world import World


def test_a_network_is_made_changed_and_ended(world: World) -> None:
    vpc = world.make("aws:ec2/vpc:Vpc", "main", cidrBlock="10.0.0.0/16", enableDnsHostnames=True, tags={"Name": "main"})
    assert vpc["tagsAll"] == {"team": "payments", "Name": "main"}
    assert vpc["arn"].endswith(f":vpc/{vpc.id}")
    assert vpc["defaultSecurityGroupId"].startswith("sg-")
    assert world.plan(vpc, cidrBlock="10.1.0.0/16") == {"cidrBlock": True}
    vpc = world.change(vpc, enableDnsHostnames=False, tags={"Name": "other"})
    assert vpc["enableDnsHostnames"] is False
    assert vpc["tagsAll"] == {"team": "payments", "Name": "other"}

    subnet = world.make(
        "aws:ec2/subnet:Subnet", "private", vpcId=vpc.id, cidrBlock="10.0.1.0/24", availabilityZone="eu-central-1a"
    )
    assert world.plan(subnet, availabilityZone="eu-central-1b") == {"availabilityZone": True}
    gateway = world.make("aws:ec2/internetGateway:InternetGateway", "gateway", vpcId=vpc.id)
    address = world.make("aws:ec2/eip:Eip", "address", domain="vpc")
    nat = world.make("aws:ec2/natGateway:NatGateway", "nat", allocationId=address.id, subnetId=subnet.id)
    assert world.plan(nat, allocationId="eipalloc-other") == {"allocationId": True}

    table = world.make("aws:ec2/routeTable:RouteTable", "table", vpcId=vpc.id)
    route = world.make(
        "aws:ec2/route:Route", "route", routeTableId=table.id, destinationCidrBlock="0.0.0.0/0", natGatewayId=nat.id
    )
    assert world.plan(route, destinationCidrBlock="10.9.0.0/16") == {"destinationCidrBlock": True}
    world.change(route, natGatewayId=None, gatewayId=gateway.id)
    world.make(
        "aws:ec2/routeTableAssociation:RouteTableAssociation", "bound", routeTableId=table.id, subnetId=subnet.id
    )

    world.make(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "s3",
        vpcId=vpc.id,
        serviceName="com.amazonaws.eu-central-1.s3",
        routeTableIds=[table.id],
    )
    pair = world.make(
        "aws:ec2/routeTableAssociation:RouteTableAssociation", "pair", subnetId=subnet.id, routeTableId=table.id
    )
    other = world.make("aws:ec2/routeTable:RouteTable", "other", vpcId=vpc.id)
    assert world.plan(pair, subnetId="subnet-1") == {"subnetId": True}
    pair = world.change(pair, routeTableId=other.id)
    assert pair["routeTableId"] == other.id
    pair = world.change(pair, routeTableId=table.id)
    endpoint = world.make(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "ecr",
        vpcId=vpc.id,
        serviceName="com.amazonaws.eu-central-1.ecr.api",
        vpcEndpointType="Interface",
        subnetIds=[subnet.id],
        privateDnsEnabled=True,
    )
    assert world.plan(endpoint, privateDnsEnabled=False) == {"privateDnsEnabled": False}
    flow = world.make(
        "aws:ec2/flowLog:FlowLog",
        "flow",
        vpcId=vpc.id,
        trafficType="ALL",
        logDestination="arn:aws:logs:eu-central-1:123456789012:log-group:flow",
        iamRoleArn=ROLE_ARN,
    )
    assert world.plan(flow, trafficType="REJECT") == {"trafficType": True}


def test_security_groups_hold_the_rules_that_were_asked_for_and_no_others(world: World) -> None:
    vpc = world.make("aws:ec2/vpc:Vpc", "main", cidrBlock="10.0.0.0/16")
    https = {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}
    group = world.make(
        "aws:ec2/securityGroup:SecurityGroup", "group", vpcId=vpc.id, description="balancer", ingress=[https]
    )
    assert permissions(world, group.id) == ([("tcp", 443, 443)], [])
    assert world.plan(group, description="other") == {"description": True}
    group = world.change(group, ingress=[{"protocol": "tcp", "fromPort": 443, "toPort": 444, "self": True}])
    assert permissions(world, group.id) == ([("tcp", 443, 444)], [])
    default = world.make("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "default", vpcId=vpc.id, tags={"a": "b"})
    assert permissions(world, default.id) == ([], [])
    rule = world.make(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "postgres",
        securityGroupId=group.id,
        ipProtocol="tcp",
        fromPort=5432,
        toPort=5432,
        referencedSecurityGroupId=default.id,
        description="from the tasks",
        tags={"Name": "postgres"},
    )
    assert world.plan(rule, securityGroupId="sg-other") == {"securityGroupId": True}
    egress = world.make(
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "out",
        securityGroupId=group.id,
        ipProtocol="tcp",
        fromPort=443,
        toPort=443,
        cidrIpv4="0.0.0.0/0",
    )
    world.change(egress, toPort=444)
    assert permissions(world, group.id)[1] == [("tcp", 443, 444)]


def permissions(world: World, group: str) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    """The rules in and out as the account has them."""
    client = world.provider._account.client("ec2", "eu-central-1")
    [found] = client.describe_security_groups(GroupIds=[group])["SecurityGroups"]

    def rules(member: str) -> list[tuple[str, int, int]]:
        return [(one["IpProtocol"], one.get("FromPort", -1), one.get("ToPort", -1)) for one in found[member]]

    return rules("IpPermissions"), rules("IpPermissionsEgress")
