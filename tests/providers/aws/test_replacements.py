"""The table's replace-or-update choices against facts read from the provider's own source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.aws import table
from providers.aws.provider import AwsProvider
from providers.aws.services.elasticache import goes_back
from providers.aws.services.elbv2 import laid_out_anew
from providers.aws.services.functions import durability
from providers.aws.services.governance import goes_down
from providers.aws.services.logs import elsewhere
from providers.base.provider import Resource
from providers.base.values import UNKNOWN

CHECKOUT = Path(__file__).resolve().parents[3]
FACTS: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(table.__file__).parent / "replacements.yaml").read_text(encoding="utf-8")
)


# As `aws.rds.Instance`, `aws.lambda_.Function`; what ends with Args is a part of one.
USED = re.compile(r"\baws\.(\w+?)_?\.([A-Z]\w+)\b")


def test_every_type_of_the_program_and_of_the_examples_was_read_in_the_providers_source() -> None:
    known = {(type_.split(":")[1].partition("/")[0], type_.rpartition(":")[2]) for type_ in FACTS}
    sources = [*CHECKOUT.glob("components/*/*.py"), *CHECKOUT.glob("examples/*/*.py")]
    used = {found for source in sources for found in USED.findall(source.read_text(encoding="utf-8"))}
    resources = {(module, name) for module, name in used if not name.endswith("Args")}
    assert len(resources) > 80
    assert resources - known == set()


@pytest.mark.parametrize("type_", FACTS)
def test_the_table_replaces_on_what_the_provider_replaces_on(type_: str) -> None:
    facts, kind = FACTS[type_], table.kinds()[type_]
    assert set(kind.replaces_on) == {*facts["replaces"], *facts.get("newer", [])}
    assert (kind.replaces_when is not None) == ("when" in facts)


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"engine": "redis", "engineVersion": "7.1"}, {"engine": "valkey", "engineVersion": "7.2"}, ()),
        ({"engine": "valkey"}, {"engine": "redis"}, ("engine",)),
        ({"engine": "redis", "engineVersion": "7.1"}, {"engine": "redis", "engineVersion": "6.2"}, ("engineVersion",)),
        ({"engineVersion": "6.2"}, {"engineVersion": "7.1"}, ()),
        ({"engineVersion": "7.1"}, {"engineVersion": "7.x"}, ()),
        ({}, {"engineVersion": "7.1"}, ()),
    ],
)
def test_a_cache_goes_back_only_by_a_new_one(
    old: dict[str, str], new: dict[str, str], replaced: tuple[str, ...]
) -> None:
    assert goes_back(old, new) == replaced


A, B, C = ({"subnetId": one} for one in "abc")
NETWORK = {"loadBalancerType": "network"}


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"subnets": ["a", "b"]}, {"subnets": ["a"]}, ()),
        ({"subnets": ["a", "b"]}, {**NETWORK, "subnets": ["b", "a"]}, ()),
        ({"subnets": ["a", "b"]}, {**NETWORK, "subnets": ["a", "b", "c"]}, ()),
        ({"subnets": ["a", "b"]}, {**NETWORK, "subnets": ["a"]}, ("subnets",)),
        ({"subnets": ["a", "b"]}, {**NETWORK, "subnets": ["a", "c"]}, ("subnets",)),
        ({"subnets": ["a", "b"]}, {**NETWORK, "subnets": [UNKNOWN]}, ()),
        ({"subnetMappings": [A, B]}, {"subnetMappings": [A]}, ()),
        ({"subnetMappings": [A, B]}, {"subnetMappings": [A, C]}, ("subnetMappings",)),
        ({"subnetMappings": [A]}, {"subnetMappings": [B, C]}, ("subnetMappings",)),
        ({"subnetMappings": [A, B]}, {**NETWORK, "subnetMappings": [A]}, ("subnetMappings",)),
        ({"subnetMappings": [A, B]}, {**NETWORK, "subnetMappings": [A, B, C]}, ()),
        ({}, {"securityGroups": ["x"]}, ()),
        ({}, {**NETWORK, "securityGroups": ["x"]}, ("securityGroups",)),
        ({"securityGroups": ["x"]}, {**NETWORK, "securityGroups": []}, ("securityGroups",)),
        ({"securityGroups": ["x"]}, {**NETWORK, "securityGroups": ["y"]}, ()),
        ({"securityGroups": ["x"]}, NETWORK, ()),
        (
            {"secondaryIpsAutoAssignedPerSubnet": 2},
            {**NETWORK, "secondaryIpsAutoAssignedPerSubnet": 1},
            ("secondaryIpsAutoAssignedPerSubnet",),
        ),
    ],
)
def test_a_network_load_balancer_only_grows_in_place(
    old: dict[str, Any], new: dict[str, Any], replaced: tuple[str, ...]
) -> None:
    assert laid_out_anew(old, new) == replaced


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"tier": "Advanced"}, {"tier": "Standard"}, ("tier",)),
        ({"tier": "Standard"}, {"tier": "Advanced"}, ()),
        ({"tier": "Advanced"}, {"tier": "Standard", "__defaults": ["tier"]}, ()),
    ],
)
def test_a_parameters_tier_goes_down_only_by_a_new_one(
    old: dict[str, str], new: dict[str, Any], replaced: tuple[str, ...]
) -> None:
    assert goes_down(old, new) == replaced


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({}, {"durableConfig": {"executionTimeout": 60}}, ("durableConfig",)),
        ({"durableConfig": {"executionTimeout": 60}}, {}, ("durableConfig",)),
        ({"durableConfig": {"executionTimeout": 60}}, {"durableConfig": {"executionTimeout": 90}}, ()),
        ({}, {}, ()),
    ],
)
def test_a_function_becomes_durable_only_as_a_new_one(
    old: dict[str, Any], new: dict[str, Any], replaced: tuple[str, ...]
) -> None:
    assert durability(old, new) == replaced


@pytest.mark.parametrize(
    ("arn", "replaced"),
    [
        ("arn:aws:s3:::other", ()),
        ("arn:aws:firehose:eu-central-1:123456789012:deliverystream/x", ("deliveryDestinationConfiguration",)),
        (UNKNOWN, ("deliveryDestinationConfiguration",)),
    ],
)
def test_logs_go_to_another_service_only_by_a_new_destination(arn: Any, replaced: tuple[str, ...]) -> None:
    name = "deliveryDestinationConfiguration"
    old = {name: {"destinationResourceArn": "arn:aws:s3:::one"}}
    assert elsewhere(old, {name: {"destinationResourceArn": arn}}) == replaced


@pytest.mark.parametrize(
    ("type_", "old", "new", "replaced"),
    [
        ("ec2/vpc:Vpc", {"instanceTenancy": "default"}, {"instanceTenancy": "dedicated"}, {"instanceTenancy"}),
        ("ec2/vpc:Vpc", {"instanceTenancy": "dedicated"}, {"instanceTenancy": "default"}, set()),
        (
            "ec2/subnet:Subnet",
            {"ipv6CidrBlock": "fd00::/64", "assignIpv6AddressOnCreation": True},
            {"ipv6CidrBlock": "fd01::/64", "assignIpv6AddressOnCreation": True},
            {"ipv6CidrBlock"},
        ),
        ("ec2/subnet:Subnet", {"ipv6CidrBlock": "fd00::/64"}, {"ipv6CidrBlock": "fd01::/64"}, set()),
        (
            "ec2/natGateway:NatGateway",
            {"availabilityMode": "regional"},
            {"availabilityMode": "regional", "availabilityZoneAddresses": [{"availabilityZone": "eu-central-1a"}]},
            {"availabilityZoneAddresses"},
        ),
        (
            "ec2/natGateway:NatGateway",
            {"availabilityZoneAddresses": [{"availabilityZone": "eu-central-1a"}]},
            {"availabilityZoneAddresses": [{"availabilityZone": "eu-central-1b"}]},
            set(),
        ),
        (
            "ec2/natGateway:NatGateway",
            {"connectivityType": "private", "secondaryPrivateIpAddressCount": 1},
            {"connectivityType": "private", "secondaryPrivateIpAddressCount": 2},
            {"secondaryPrivateIpAddressCount"},
        ),
        (
            "ec2/vpcEndpoint:VpcEndpoint",
            {"vpcEndpointType": "Interface", "privateDnsEnabled": False},
            {"vpcEndpointType": "Interface", "privateDnsEnabled": True},
            set(),
        ),
        (
            "ec2/vpcEndpoint:VpcEndpoint",
            {"vpcEndpointType": "Gateway", "privateDnsEnabled": False},
            {"vpcEndpointType": "Gateway", "privateDnsEnabled": True},
            {"privateDnsEnabled"},
        ),
        (
            "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"cidrIpv4": "10.0.0.0/8"},
            {"referencedSecurityGroupId": "sg-1"},
            {"cidrIpv4", "referencedSecurityGroupId"},
        ),
        (
            "vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            {"cidrIpv4": "10.0.0.0/8"},
            {"cidrIpv4": "10.1.0.0/16"},
            set(),
        ),
        (
            "ecs/service:Service",
            {"deploymentController": {"type": "ECS"}},
            {"deploymentController": {"type": "X"}},
            set(),
        ),
        ("eks/cluster:Cluster", {"encryptionConfig": {"resources": ["secrets"]}}, {}, {"encryptionConfig"}),
        ("eks/cluster:Cluster", {}, {"encryptionConfig": {"resources": ["secrets"]}}, set()),
        ("eks/cluster:Cluster", {"vpcConfig": {"subnetIds": ["a"]}}, {"vpcConfig": {"subnetIds": ["a", "b"]}}, set()),
        ("eks/cluster:Cluster", {}, {"outpostConfig": {"outpostArns": ["arn"]}}, {"outpostConfig"}),
        (
            "eks/cluster:Cluster",
            {"computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": "one"}},
            {"computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": "other"}},
            {"computeConfig.nodeRoleArn"},
        ),
        (
            "eks/cluster:Cluster",
            {"computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": "one"}},
            {"computeConfig": {"enabled": False, "nodePools": ["system"]}},
            set(),
        ),
        ("eks/cluster:Cluster", {"computeConfig": {"nodeRoleArn": "one"}}, {"computeConfig": UNKNOWN}, set()),
        ("eks/nodeGroup:NodeGroup", {}, {"launchTemplate": {"id": "lt-1", "version": "1"}}, {"launchTemplate"}),
        ("eks/nodeGroup:NodeGroup", {"launchTemplate": {"id": "lt-1"}}, {}, set()),
        (
            "eks/nodeGroup:NodeGroup",
            {"launchTemplate": {"id": "lt-1", "version": "1"}},
            {"launchTemplate": {"id": "lt-2", "version": "1"}},
            {"launchTemplate.id"},
        ),
        (
            "eks/nodeGroup:NodeGroup",
            {"launchTemplate": {"id": "lt-1", "version": "1"}},
            {"launchTemplate": {"id": "lt-1", "version": "2"}},
            set(),
        ),
    ],
)
def test_what_replaces_by_its_values(type_: str, old: dict[str, Any], new: dict[str, Any], replaced: set[str]) -> None:
    resource = Resource(f"urn:pulumi:x::x::aws:{type_}::it", f"aws:{type_}", "it")
    planned = AwsProvider("http://127.0.0.1:1").diff(resource, old, old, new)
    assert {change.path for change in planned.changes if change.replaces} == replaced
