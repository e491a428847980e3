"""The examples run, and what they declare is as safe as in the stack itself."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pulumi.runtime.config import set_all_config

from tests.components.aws.declaring import ACCOUNT, CHECKOUT, REGION, Declared, declared
from tests.components.aws.foundation_properties import untagged

EXAMPLES = CHECKOUT / "examples"
ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
VALUES: dict[str, Any] = {
    "accountId": ACCOUNT,
    "vpcId": "vpc-1",
    "subnetIds": ["subnet-a", "subnet-b"],
    "publicSubnetIds": ["subnet-c", "subnet-d"],
    "privateSubnetIds": ["subnet-a", "subnet-b"],
    "clientSecurityGroupId": "sg-clients",
    "certificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1",
    "host": "pay.example.com",
    "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/pay@sha256:{'4d' * 32}",
    "repositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/pay",
    "secretArns": {
        name: f"{ARN}{name}" for name in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET", "API_KEY_PEPPER", "INVOICE_SECRET")
    },
    "secretKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1",
    "testSecret": "planted",
}


@pytest.fixture(autouse=True)
def no_config() -> Iterator[None]:
    yield
    set_all_config({}, [])


def run(example: str, knows: bool = True) -> Declared:
    """What an example declares, with a value for each key that its Pulumi.yaml declares and none for any other."""
    keys = yaml.safe_load((EXAMPLES / example / "Pulumi.yaml").read_text())["config"]
    values = {key: VALUES[key] for key in keys}
    # The mocks' project is railyard, whatever Pulumi.yaml says.
    config = {f"railyard:{key}": it if isinstance(it, str) else json.dumps(it) for key, it in values.items()}
    set_all_config({**config, "aws:region": REGION}, ["railyard:testSecret"])
    return declared(lambda: runpy.run_path(str(EXAMPLES / example / "__main__.py")) and None, knows=knows)


@pytest.mark.parametrize("example", [path.name for path in sorted(EXAMPLES.iterdir()) if path.is_dir()])
@pytest.mark.parametrize("knows", [True, False], ids=["known", "unknown"])
def test_an_example_runs_alone(example: str, knows: bool) -> None:
    found = run(example, knows)
    assert found.resources
    assert untagged(found) == []
    assert f"`{example}/`" in (EXAMPLES / "README.md").read_text()


def test_the_stores_are_private_and_encrypted() -> None:
    found = run("database_and_cache")
    database = found.one("rds/instance:Instance")
    assert (database["multiAz"], database["publiclyAccessible"], database["storageEncrypted"]) == (True, False, True)
    redis = found.one("elasticache/replicationGroup:ReplicationGroup")
    assert (redis["transitEncryptionEnabled"], redis["multiAzEnabled"], bool(redis["authToken"])) == (True, True, True)
    rules = found.of("vpc/securityGroupIngressRule:SecurityGroupIngressRule").values()
    assert {it["referencedSecurityGroupId"] for it in rules} == {"sg-clients"}


def test_the_service_is_rolled_out_by_canary_in_the_subnets_given() -> None:
    found = run("service_on_existing_vpc")
    web = next(it for name, it in found.of("ecs/service:Service").items() if "web" in name)
    assert web["deploymentConfiguration"]["strategy"] == "CANARY"
    assert web["networkConfiguration"]["subnets"] == ["subnet-a", "subnet-b"]
    assert found.of("ec2/vpc:Vpc") == {}
