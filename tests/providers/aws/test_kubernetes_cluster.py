"""EKS and what it stands on: the cluster's own security group, its nodes' template."""

from __future__ import annotations

from tests.providers.aws.test_compute import subnets
from tests.providers.aws.world import World


def test_a_cluster_has_the_security_group_that_eks_makes_and_takes_it_along(world: World) -> None:
    vpc_id, subnet_ids = subnets(world)
    role = "arn:aws:iam::123456789012:role/eks"
    cluster = world.make(
        "aws:eks/cluster:Cluster",
        "cluster",
        name="payments",
        roleArn=role,
        vpcConfig={"subnetIds": subnet_ids, "endpointPrivateAccess": True, "endpointPublicAccess": False},
    )
    assert cluster["vpcConfig"]["vpcId"] == vpc_id
    assert cluster["vpcConfig"]["endpointPublicAccess"] is False
    group = cluster["vpcConfig"]["clusterSecurityGroupId"]
    client = world.provider._account.client("ec2", "eu-central-1")
    assert client.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["VpcId"] == vpc_id
    rule = world.make(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "nodes",
        securityGroupId=world.make("aws:ec2/securityGroup:SecurityGroup", "db", vpcId=vpc_id, description="x").id,
        ipProtocol="tcp",
        fromPort=5432,
        toPort=5432,
        referencedSecurityGroupId=group,
    )
    world.end(rule)
    world.end(cluster)
    found = client.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["eks-cluster-sg-payments"]}])
    assert found["SecurityGroups"] == []


def test_a_launch_template_gets_a_version_with_each_change(world: World) -> None:
    template = world.make(
        "aws:ec2/launchTemplate:LaunchTemplate",
        "nodes",
        metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 1},
        blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 50, "encrypted": "true"}}],
    )
    assert template["latestVersion"] == 1
    client = world.provider._account.client("ec2", "eu-central-1")
    told = client.describe_launch_template_versions(LaunchTemplateId=template.id)["LaunchTemplateVersions"][0]
    data = told["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    changed = world.change(template, metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 2})
    assert changed["latestVersion"] == 2
    assert world.plan(changed, name="other") == {"name": True}
    world.end(changed)
