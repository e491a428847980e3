"""What a destroyed stack leaves is told by asking the account itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import httpx
import pytest
from moto.server import ThreadedMotoServer

from operations.emulated.leftovers import leftovers

REGION = "eu-central-1"
TAGS = [{"Key": "project", "Value": "railyard"}]


@pytest.fixture
def account() -> Iterator[str]:
    """An emulated account's address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # Servers of one process share what is in the account.
    httpx.post(f"http://{host}:{port}/moto-api/reset").raise_for_status()
    yield f"http://{host}:{port}"
    server.stop()


def client(url: str, service: str, region: str = REGION) -> Any:
    return botocore.session.Session().create_client(
        service, region_name=region, endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test"
    )


def test_an_empty_account_has_nothing_to_tell(account: str) -> None:
    assert leftovers(account, REGION) == []


def test_what_stands_is_told_in_both_regions_but_for_what_was_said(account: str) -> None:
    here = client(account, "sns").create_topic(Name="warn", Tags=TAGS)["TopicArn"]
    there = client(account, "sns", "us-east-1").create_topic(Name="uptime", Tags=TAGS)["TopicArn"]
    assert leftovers(account, REGION) == [f"still in the account: {here}", f"still in the account: {there}"]
    assert leftovers(account, REGION, {here}) == [f"still in the account: {there}"]


def test_keys_and_secrets_wait_for_their_end_unless_nobody_ended_them(account: str) -> None:
    keys, secrets = client(account, "kms"), client(account, "secretsmanager")
    made = [
        keys.create_key(Tags=[{"TagKey": "project", "TagValue": "railyard"}])["KeyMetadata"]["Arn"] for _ in range(2)
    ]
    secret = secrets.create_secret(Name="token", SecretString="planted", Tags=TAGS)["ARN"]
    assert set(leftovers(account, REGION)) == {f"still in the account: {arn}" for arn in (*made, secret)}
    for key in made:
        keys.schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=30)
    secrets.delete_secret(SecretId=secret, RecoveryWindowInDays=30)
    assert set(leftovers(account, REGION)) == {
        "waits for its end, for days, as AWS has it: a key of kms (2 of them)",
        "waits for its end, for days, as AWS has it: a secret of secretsmanager",
    }


def test_revisions_for_rollbacks_are_retained_on_purpose(account: str) -> None:
    definition = client(account, "ecs").register_task_definition(
        family="web",
        containerDefinitions=[{"name": "app", "image": "a", "memory": 512}],
        tags=[{"key": "project", "value": "railyard"}],
    )["taskDefinition"]["taskDefinitionArn"]
    assert leftovers(account, REGION) == ["retained on purpose, for rollbacks: the task definition web:1"]
    client(account, "ecs").deregister_task_definition(taskDefinition=definition)
    assert leftovers(account, REGION) == []
