"""What the offline providers refuse, each in one sentence; and what their README says of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from providers.aws.provider import AwsProvider
from providers.base.loopback import require_loopback
from providers.base.provider import PartlyMadeError, ProviderError, Resource
from providers.base.values import UNKNOWN, Secret
from providers.recorded import lacking, readme
from tests.providers.aws.world import World

ROOT = Path(__file__).parents[3]
URN = "urn:pulumi:test::railyard::{}::thing"


def resource(type_: str, resource_id: str = "") -> Resource:
    return Resource(URN.format(type_), type_, "thing", resource_id)


@pytest.mark.parametrize("url", ["http://127.0.0.1:5000", "http://localhost:1", "http://[::1]:80"])
def test_an_address_on_this_machine_is_taken(url: str) -> None:
    assert require_loopback(url, "the endpoint") == url


@pytest.mark.parametrize(
    "url",
    [
        "https://ec2.eu-central-1.amazonaws.com",
        "http://169.254.169.254",
        "http://10.0.0.1:80",
        "http://127.0.0.1.evil.io",
    ],
)
def test_any_other_address_is_refused_before_anything_is_sent(url: str) -> None:
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "providers", "random", f"aws={url}"],
        cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert asked.returncode == 1
    assert asked.stdout == ""
    assert len(asked.stderr.splitlines()) == 1
    assert f"the endpoint is '{url}', which is not on this machine" in asked.stderr


def test_a_package_that_there_is_no_provider_of_is_refused() -> None:
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "providers", "gcp"],
        cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "there is no offline provider 'gcp', only aws, docker, kubernetes, random." in asked.stderr


def test_endpoints_of_the_configuration_are_refused_too(account: str) -> None:
    [(name, reason)] = AwsProvider(account).check_config({"endpoints": [{"s3": "https://s3.amazonaws.com"}]})
    assert name == "endpoints"
    assert "not on this machine" in reason


def test_an_unknown_type_is_refused_by_its_name(account: str) -> None:
    with pytest.raises(ProviderError, match="does not know the type aws:neptune/cluster:Cluster"):
        AwsProvider(account).check(resource("aws:neptune/cluster:Cluster"), {}, {}, b"")


def test_an_unknown_function_is_refused_by_its_name(account: str) -> None:
    with pytest.raises(ProviderError, match="does not know the function aws:ec2/getAmi:getAmi"):
        AwsProvider(account).invoke("aws:ec2/getAmi:getAmi", {})


def test_an_error_names_service_operation_and_resource(world: World) -> None:
    with pytest.raises(ProviderError) as refused:
        world.make("aws:ec2/subnet:Subnet", "lost", vpcId="vpc-00000000", cidrBlock="10.0.0.0/24")
    assert "aws:ec2/subnet:Subnet::lost: ec2 create_subnet refused: InvalidVpcID.NotFound" in str(refused.value)


def test_a_parameter_that_is_refused_is_not_quoted(world: World) -> None:
    with pytest.raises(ProviderError) as refused:
        world.make("aws:sns/topic:Topic", "bad", name=["hush"])
    assert "hush" not in str(refused.value)


def test_a_resource_that_is_half_made_is_kept(world: World) -> None:
    vpc = world.make("aws:ec2/vpc:Vpc", "main", cidrBlock="10.0.0.0/16")
    with pytest.raises(PartlyMadeError) as half:
        world.make(
            "aws:ec2/securityGroup:SecurityGroup",
            "half",
            vpcId=vpc.id,
            description="x",
            ingress=[{"protocol": "tcp", "fromPort": 1, "toPort": 1, "securityGroups": ["sg-00000000"]}],
        )
    assert half.value.resource_id.startswith("sg-")
    assert half.value.outputs["description"] == "x"
    client = world.provider._account.client("ec2", "eu-central-1")
    client.delete_security_group(GroupId=half.value.resource_id)


def test_what_never_was_is_gone_whatever_the_services_code_for_it(account: str) -> None:
    definition = resource("aws:ecs/taskDefinition:TaskDefinition", "web")
    state = {"arn": "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1"}
    assert AwsProvider(account).read(definition, {"family": "web"}, state).id == ""


def test_a_name_that_is_too_long_is_refused_as_the_real_provider_does(account: str) -> None:
    target_group = Resource(URN.format("aws:lb/targetGroup:TargetGroup"), "aws:lb/targetGroup:TargetGroup", "a" * 25)
    [(name, reason)] = AwsProvider(account).check(target_group, {}, {}, b"seed").failures
    assert name == "name"
    assert "longer than the 32" in reason


def test_a_generated_name_stays_and_is_no_reason_to_delete_first(account: str) -> None:
    provider, topic = AwsProvider(account), resource("aws:sns/topic:Topic")
    first = provider.check(topic, {}, {}, b"seed").inputs
    assert first["name"].startswith("thing-")
    assert provider.check(topic, first, {}, b"other seed").inputs["name"] == first["name"]
    assert not provider.diff(topic, first, {}, {**first, "fifoTopic": True}).delete_first
    fixed = provider.check(topic, {}, {"name": "alarms"}, b"").inputs
    assert provider.diff(topic, fixed, {}, {**fixed, "fifoTopic": True}).delete_first


def test_an_unknown_that_may_replace_is_planned_as_a_replacement(account: str) -> None:
    provider, subnet = AwsProvider(account), resource("aws:ec2/subnet:Subnet", "subnet-1")
    old = {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24"}
    found = provider.diff(subnet, old, {}, {**old, "vpcId": UNKNOWN})
    assert [(change.path, change.replaces) for change in found.changes] == [("vpcId", True)]


def test_a_secret_is_compared_by_what_it_holds(account: str) -> None:
    provider, version = AwsProvider(account), resource("aws:secretsmanager/secretVersion:SecretVersion", "x")
    old = {"secretId": "s", "secretString": Secret("hush")}
    assert not provider.diff(version, old, {}, {**old, "secretString": Secret("hush")}).changes
    [change] = provider.diff(version, old, {}, {**old, "secretString": Secret("other")}).changes
    assert (change.path, change.replaces) == ("secretString", True)


def test_two_regions_of_providers_are_refused_with_the_way_out(account: str) -> None:
    provider = AwsProvider(account)
    provider.configure({"region": "eu-central-1"})
    with pytest.raises(ProviderError, match="give the resources their own `region` instead"):
        provider.configure({"region": "us-east-1"})


def test_the_readme_is_what_the_table_says() -> None:
    assert (ROOT / "providers" / "README.md").read_text() == readme(), (
        "run python -m providers.recorded > providers/README.md"
    )
    assert lacking()["aws:backup/framework:Framework"]["*"]
    # What a bucket's policy is looked up by is in the account; what nobody asks for again is not known to be.
    assert "aws:s3/bucketPolicy:BucketPolicy" not in lacking()
    assert "code" in lacking()["aws:lambda/function:Function"]


def test_what_is_within_an_input_and_not_sent_on_is_told_by_its_path(world: World) -> None:
    chosen = {"algorithm": "LATEST_WITHIN_WINDOW", "includeVaults": ["*"], "recoveryPointTypes": ["SNAPSHOT"]}
    inputs = {"name": "weekly", "scheduleExpression": "cron(0 6 ? * MON *)"}
    plan = "aws:backup/restoreTestingPlan:RestoreTestingPlan"
    told = world.make(plan, "p", **inputs, recoveryPointSelection=chosen)
    assert "__recorded" not in told.outputs
    world.end(told)
    newer = world.make(plan, "p", **inputs, recoveryPointSelection={**chosen, "ofLater": "x"})
    assert newer.outputs["__recorded"] == ["recoveryPointSelection.ofLater"]
    seen = world.provider.read(newer.resource, newer.inputs, newer.outputs)
    assert seen.outputs["__recorded"] == ["recoveryPointSelection.ofLater"]
    world.unobserved.clear()
