"""Each component of the foundation is safe by its defaults, each property by name; and each check can fail."""

from __future__ import annotations

import json
from functools import cache as remembered
from typing import Any

import pulumi
import pytest

from tests.components.aws.declaring import Declared, declared, mutated
from tests.components.aws.foundation_programs import PROGRAMS
from tests.components.aws.foundation_properties import untagged
from tests.components.aws.policy_lint import documents, findings
from tests.components.aws.properties import FOUNDATION

# component, file, what it says, what a mutant says instead, the property that must notice.
MUTANTS = [
    ("keys", "keys.py", "enable_key_rotation=True", "enable_key_rotation=False", "every_key_rotates"),
    ("keys", "keys.py", "deletion_window_days: int = 30", "deletion_window_days: int = 7",
     "a_deleted_key_can_be_brought_back"),
    ("keys", "keys.py", '"Principal": {"AWS": f"arn:aws:iam::{self._args.account_id}:root"}', '"Principal": "*"',
     "keys_are_for_this_account"),
    ("keys", "keys.py", '"Condition": {"StringEquals": {"aws:SourceAccount": account}},', "",
     "keys_are_for_this_account"),
    ("network", "network.py", 'availability_zone=zone', "availability_zone=self._args.zones[0]",
     "three_zones_of_each_kind"),
    ("network", "network.py", '"data": 4', '"data": 3', "subnets_do_not_overlap"),
    ("network", "network.py", "map_public_ip_on_launch=False", "map_public_ip_on_launch=True",
     "nothing_gets_a_public_address"),
    ("network", "network.py", "nat_gateway_a_zone: bool = True", "nat_gateway_a_zone: bool = False",
     "a_nat_gateway_a_zone"),
    ("network", "network.py", "ingress=[], egress=[]", "egress=[]", "the_default_group_lets_nothing_pass"),
    ("network", "network.py", 'f"{self._name}-public",\n            route_table_id=public.id',
     'f"{self._name}-public",\n            route_table_id=self._table("open", self.data_subnet_ids).id',
     "data_has_no_way_out"),
    ("network", "network.py", 'traffic_type="ALL"', 'traffic_type="REJECT"', "all_traffic_is_logged"),
    ("network", "network.py", "flow_log_retention_days: int = 90", "flow_log_retention_days: int = 0",
     "all_traffic_is_logged"),
    ("network", "network.py", "cidr_ipv4=args.cidr", 'cidr_ipv4="0.0.0.0/0"', "endpoints_answer_the_vpc_alone"),
    ("security_groups", "security_groups.py", "self.load_balancer_id, HTTPS_PORT, cidr=WORLD",
     "self.load_balancer_id, 80, cidr=WORLD", "the_world_reaches_443_of_the_load_balancer_alone"),
    ("security_groups", "security_groups.py", 'self._ingress("load-balancer-world", self.load_balancer_id',
     'self._ingress("load-balancer-world", self.task_id', "the_world_reaches_443_of_the_load_balancer_alone"),
    ("security_groups", "security_groups.py", "self._ingress(suffix, target, port, group=source)",
     "self._ingress(suffix, target, port, cidr=WORLD)", "groups_name_groups"),
    ("security_groups", "security_groups.py", 'self._egress(f"{source}-https", group_id, HTTPS_PORT, cidr=WORLD)',
     'self._egress(f"{source}-https", group_id, 80, cidr=WORLD)', "tasks_leave_on_443_and_for_lnd_alone"),
    ("security_groups", "security_groups.py", "self.task_id, args.lnd_port, cidr=cidr",
     "self.task_id, args.lnd_port, cidr=WORLD", "tasks_leave_on_443_and_for_lnd_alone"),
    ("security_groups", "security_groups.py", "for index, cidr in",
     'self._egress("database-out", self.database_id, 443, cidr=WORLD)\n        for index, cidr in',
     "database_and_cache_open_nothing"),
    ("database", "database.py", "multi_az: bool = True", "multi_az: bool = False", "in_two_zones"),
    ("database", "database.py", "publicly_accessible=False", "publicly_accessible=True", "never_public"),
    ("database", "database.py", "backup_days: int = 7", "backup_days: int = 8", "seven_days_of_backups"),
    ("database", "database.py", "backup_retention_period=args.backup_days", "backup_retention_period=0",
     "seven_days_of_backups"),
    ("database", "database.py", "deletion_protection: bool = True", "deletion_protection: bool = False",
     "protected_against_deletion"),
    ("database", "database.py", "skip_final_snapshot=False", "skip_final_snapshot=True", "protected_against_deletion"),
    ("database", "database.py", "storage_encrypted=True", "storage_encrypted=False", "encrypted_with_our_key"),
    ("database", "database.py", "kms_key_id=args.kms_key_arn,\n            multi_az",
     "kms_key_id=args.log_key_arn + 'x',\n            multi_az", "encrypted_with_our_key"),
    ("database", "database.py", "storage_gb: int = 100", "storage_gb: int = 120", "grows_from_100_gb"),
    ("database", "database.py", "vpc_security_group_ids=[args.security_group_id]", "vpc_security_group_ids=[]",
     "in_its_own_group"),
    ("database", "database.py", 'version: str = "16.15"', 'version: str = "16"', "pinned_postgres_16"),
    ("database", "database.py", "performance_insights_enabled=True", "performance_insights_enabled=False", "watched"),
    ("database", "database.py", "manage_master_user_password=True", 'password="hunter22hunter22"',
     "master_password_is_of_rds"),
    ("database", "database.py", "master_user_secret_kms_key_id=args.kms_key_arn,", "", "master_password_is_of_rds"),
    ("database", "database.py", '"rds.force_ssl": ("1"', '"rds.force_ssl": ("0"',
     "tls_is_forced_and_slow_statements_logged"),
    ("database", "database.py", '"log_min_duration_statement": ("1000"', '"log_min_duration_statement": ("-1"',
     "tls_is_forced_and_slow_statements_logged"),
    ("database", "database.py", "retention_in_days=self._args.log_retention_days,", "",
     "database_logs_are_kept_for_a_time"),
    ("cache", "cache.py", "transit_encryption_enabled=True", "transit_encryption_enabled=False", "redis_over_tls"),
    ("cache", "cache.py", 'transit_encryption_mode="required"', 'transit_encryption_mode="preferred"',
     "redis_over_tls"),
    ("cache", "cache.py", "auth_token=args.auth_token,", "", "redis_asks_for_its_token"),
    ("cache", "cache.py", "at_rest_encryption_enabled=True", "at_rest_encryption_enabled=False",
     "redis_encrypted_with_our_key"),
    ("cache", "cache.py", "multi_az_enabled=True", "multi_az_enabled=False", "fails_over_to_another_zone"),
    ("cache", "cache.py", "automatic_failover_enabled=True", "automatic_failover_enabled=False",
     "fails_over_to_another_zone"),
    ("cache", "cache.py", "1 + args.replicas", "1", "fails_over_to_another_zone"),
    ("cache", "cache.py", "security_group_ids=[args.security_group_id]", "security_group_ids=[]",
     "redis_in_its_own_group"),
    ("cache", "cache.py", 'version: str = "7.1"', 'version: str = "7.0"', "redis_7_of_a_gigabyte"),
    ("cache", "cache.py", "snapshot_days: int = 7", "snapshot_days: int = 1", "redis_is_saved_daily"),
    ("cache", "cache.py", "retention_in_days=self._args.log_retention_days,", "", "redis_logs_are_kept_for_a_time"),
    ("cache", "cache.py", 'value="noeviction"', 'value="allkeys-lru"', "nothing_is_evicted"),
    ("cache", "cache.py", "subnet_ids=list(args.subnet_ids)", "subnet_ids=[]", "both_stores_are_in_the_data_subnets"),
    ("registry", "registry.py", 'image_tag_mutability="IMMUTABLE"', 'image_tag_mutability="MUTABLE"',
     "tags_are_immutable"),
    ("registry", "registry.py", "scan_on_push=True", "scan_on_push=False", "scanned_on_push"),
    ("registry", "registry.py", "delete_with_images: bool = False", "delete_with_images: bool = True",
     "images_outlive_mistakes"),
    ("registry", "registry.py", 'encryption_type="KMS", kms_key=args.kms_key_arn', 'encryption_type="AES256"',
     "images_encrypted_with_our_key"),
    ("registry", "registry.py", '"tagPrefixList": ["release-"]', '"tagPrefixList": ["release-", "kept-"]',
     "kept_images_are_never_ended"),
    ("registry", "registry.py", "= image.repo_digest", "= image.image_name", "used_by_digest"),
    ("registry", "registry.py", 'context: str = "app"', 'context: str = "."', "built_from_app_alone"),
    ("roles", "roles.py", 'service_trust("ecs-tasks.amazonaws.com", ours)', 'service_trust("ecs-tasks.amazonaws.com")',
     "only_ecs_of_this_account_takes_them"),
    ("roles", "roles.py", '["secretsmanager:GetSecretValue"], args.secret_arns', '["secretsmanager:*"], ["*"]',
     "wildcards_only_where_there_is_nothing_narrower"),
    ("secret_policies", "secret_policies.py", '"StringNotEquals"', '"StringEquals"',
     "nobody_else_may_do_anything_with_a_secret"),
    ("secret_policies", "secret_policies.py", '"secretsmanager:*"', '"secretsmanager:GetSecretValue"',
     "nobody_else_may_do_anything_with_a_secret"),
    ("secret_policies", "secret_policies.py", "*self.administrators, *secret", "*secret",
     "nobody_else_may_do_anything_with_a_secret"),
    ("secret_policies", "secret_policies.py", "block_public_policy=True", "block_public_policy=False",
     "a_policy_that_opens_it_is_blocked"),
    ("roles", "roles.py", '"s3:GetObject", "s3:GetObjectRetention"', '"s3:*"', "the_auditor_only_reads"),
    ("roles", "roles.py", 'self._role("web", [])', 'self._role("web", self._archive())', "web_may_do_nothing"),
    ("roles", "roles.py", '["s3:PutObject"]', '["s3:PutObject", "s3:DeleteObject"]',
     "worker_appends_to_the_archive_alone"),
    ("secrets", "secrets.py", "kms_key_id=self._args.secret_key_arn,", "", "every_secret_is_encrypted_with_our_key"),
    ("secrets", "secrets.py", "recovery_days: int = 30", "recovery_days: int = 0", "every_secret_can_be_brought_back"),
    ("secrets", "secrets.py", "        self._function(Kind.ISSUED, others, args.issued_rotation_days)\n", "",
     "every_secret_is_rotated"),
    ("secrets", "rotation.py", "automatically_after_days=self._args.rotation_days", "automatically_after_days=999",
     "every_secret_is_rotated"),
    ("secrets", "secrets.py", "value.description, {", "pulumi.Output.unsecret(given), {",
     "values_are_in_secret_versions_alone"),
    ("secrets", "secrets.py", "            rotate_immediately=True,\n", "",
     "the_first_rotation_makes_the_database_roles"),
    ("secrets", "rotation.py", "source_account=args.account_id,", "", "only_secrets_manager_of_this_account_calls"),
    ("secrets", "rotation.py", ', {"StringEquals": {"aws:SourceAccount": args.account_id}})', ")",
     "lambda_takes_the_roles_for_this_account_alone"),
    ("secrets", "rotation.py", "list(args.secrets.values()),", '["*"],', "a_function_changes_its_own_secrets_alone"),
    ("secrets", "rotation.py", "alarm_actions=list(self._args.alarm_topic_arns)", "alarm_actions=[]",
     "a_failed_rotation_is_told"),
    ("secrets", "rotation.py", "retention_in_days=args.log_retention_days,", "", "functions_log_for_a_time"),
]  # fmt: skip


@remembered
def whole(component: str, knows: bool = True) -> Declared:
    return declared(PROGRAMS[component], knows=knows)


@pytest.mark.parametrize(
    ("component", "name"), [(part, name) for part, checks in FOUNDATION.checks.items() for name in checks]
)
def test_a_component_keeps_each_property(component: str, name: str) -> None:
    assert name not in FOUNDATION.failing(component, whole(component))


@pytest.mark.parametrize(("component", "file", "old", "new", "name"), MUTANTS)
def test_a_mutant_is_noticed_by_the_property_it_breaks(
    component: str, file: str, old: str, new: str, name: str
) -> None:
    with mutated(file, old, new):
        assert name in FOUNDATION.failing(component, declared(PROGRAMS[component]))


def test_every_property_is_broken_by_some_mutant() -> None:
    assert {(mutant[0], mutant[4]) for mutant in MUTANTS} == {
        (part, name) for part, checks in FOUNDATION.checks.items() for name in checks
    }


@pytest.mark.parametrize("component", PROGRAMS)
def test_the_same_is_declared_while_nothing_is_known(component: str) -> None:
    assert set(whole(component, False).resources) == set(whole(component).resources)


@pytest.mark.parametrize("component", PROGRAMS)
def test_everything_carries_the_required_tags(component: str) -> None:
    assert untagged(whole(component)) == []


@pytest.mark.parametrize("component", PROGRAMS)
def test_every_policy_document_passes_the_linter(component: str) -> None:
    found = {where: findings(text) for where, text in documents(whole(component))}
    assert {where: what for where, what in found.items() if what} == {}


def test_the_linter_finds_what_is_wrong() -> None:
    unknown = {"Effect": "Allow", "Action": "kms:Decript", "Resource": "*"}
    misplaced = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket-alone"}
    for statement in (unknown, misplaced):
        assert findings(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_what_the_service_is_not_given_its_platform_may_not_read() -> None:
    injected: list[Any] = []

    def program() -> None:
        made: Any = PROGRAMS["secrets"]()
        pulumi.Output.all(*made.injected_arns).apply(injected.extend)

    declared(program)
    names = {arn.rsplit(":it-", 1)[1] for arn in injected}
    assert {"database-app", "database-owner", "redis", "jwt", "lnd-pay-macaroon"} <= names
    assert not names & {"database-reader", "slack-webhook-url", "pagerduty-integration-url"}
