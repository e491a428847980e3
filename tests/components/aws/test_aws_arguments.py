"""Each wrong argument of the foundation is refused by its name, with how to mend it, before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

from components.arguments import ArgumentError
from components.tags import check_tags, stack_tags
from tests.components.aws.declaring import TAGS, declared
from tests.components.aws.foundation_programs import PROGRAMS

WRONG: list[tuple[str, str, Any, str]] = [
    ("keys", "account_id", "12345", "is '12345'"),
    ("keys", "deletion_window_days", 3, "is 3"),
    ("keys", "rotation_days", 5000, "is 5000"),
    ("network", "zones", ("eu-central-1a", "eu-central-1a", "eu-central-1b"), "three different ones are needed"),
    ("network", "cidr", "10.0.0.0/8", "must be a /16"),
    ("security_groups", "lnd_cidrs", ("0.0.0.0/0",), "which is too wide"),
    ("security_groups", "lnd_cidrs", ("lnd.example.com",), "which is no address range"),
    ("security_groups", "service_port", 0, "is 0"),
    ("database", "identifier", "402pay-prod", "which RDS refuses"),
    ("database", "identifier", "pay--prod", "which RDS refuses"),
    ("database", "master_username", "admin", "which RDS refuses"),
    ("database", "version", "15.4", "is '15.4'"),
    ("database", "storage_gb", 20, "must be at least 100"),
    ("database", "max_storage_gb", 100, "no more than storage_gb"),
    ("database", "backup_days", 1, "must be 7 to 35"),
    ("database", "subnet_ids", ("subnet-a",), "has 1"),
    ("database", "database_name", "402pay", "which RDS refuses"),
    ("cache", "replication_group_id", "402pay-prod", "which ElastiCache refuses"),
    ("cache", "node_type", "cache.t3.micro", "less than 1 GB memory"),
    ("cache", "replicas", 0, "is 0"),
    ("cache", "version", "6.2", "is '6.2'"),
    ("cache", "snapshot_days", 0, "is 0"),
    ("cache", "subnet_ids", (), "has 0"),
    ("registry", "repository", "402Pay", "which ECR refuses"),
    ("registry", "retained_images", 3, "is 3"),
    ("roles", "secret_arns", ["arn:aws:secretsmanager:*:*:secret:*"], "is empty or has a wildcard"),
    ("roles", "log_group_arns", [], "is empty or has a wildcard"),
    ("roles", "archive_key_arn", None, "go together"),
    ("secrets", "issued_values", {}, "misses lndMacaroon, lndPayMacaroon"),
    ("secrets", "recovery_days", 3, "is 3"),
    ("secrets", "rotation_days", 0, "is 0"),
]


@pytest.mark.parametrize(("component", "key", "value", "said"), WRONG)
def test_a_wrong_argument_is_refused_by_its_name(component: str, key: str, value: Any, said: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        declared(lambda: PROGRAMS[component](**{key: value}))
    sentence = str(caught.value)
    assert said in sentence
    assert sentence.endswith(".")
    assert f".{key} " in sentence or caught.value.key in ("archive_arn", key)


@pytest.mark.parametrize("component", [name for name in PROGRAMS if name != "secret_policies"])  # has no tags in AWS
def test_tags_that_miss_a_required_one_are_refused(component: str) -> None:
    with pytest.raises(ArgumentError, match=r"tags misses owner\. Make them with components\.tags\.stack_tags"):
        declared(lambda: PROGRAMS[component](tags={**TAGS, "owner": ""}))


def test_tags_that_aws_does_not_take_are_refused() -> None:
    with pytest.raises(ArgumentError, match="owner='a&b', which AWS refuses"):
        check_tags("KeysArgs", {**TAGS, "owner": "a&b"})


def test_the_stacks_own_tags_are_complete() -> None:
    made = stack_tags(
        project="railyard", stack="staging", environment="staging", owner="payments-team", cost_center="payments"
    )
    assert made == TAGS


@pytest.mark.parametrize("release", ["latest", "abc", "Ärger1", "x" * 121])
def test_an_image_is_never_the_latest(release: str) -> None:
    from components.aws.registry import ImageArgs

    with pytest.raises(ArgumentError, match=r"ImageArgs\.release is"):
        ImageArgs(repository_url="r", registry_id="1", release=release)


def test_settings_of_this_machine_make_no_foundation() -> None:
    from components.aws.foundation import FoundationArgs
    from components.settings import Settings

    local = Settings.from_mapping({"solanaPayTo": "8hUhuYN36M9md2bdUvixDKjvgSMTLj1uc8EtVDtQMGmG"})
    with pytest.raises(ArgumentError, match="are of the local platform"):
        FoundationArgs(settings=local, tags=TAGS)
