"""Each component of the service half is safe by its defaults, each property by name; and each check can fail."""

from __future__ import annotations

from functools import cache as remembered

import pytest

from tests.components.aws import front_properties, service_properties, watching_properties
from tests.components.aws.declaring import Declared, declared, mutated
from tests.components.aws.foundation_properties import untagged
from tests.components.aws.policy_lint import documents, findings
from tests.components.aws.properties import WORKLOAD
from tests.components.aws.workload_programs import PROGRAMS

# Each says its properties to WORKLOAD when it is imported.
MODULES = (front_properties, service_properties, watching_properties)

# component, file, what it says, what a mutant says instead, the property that must notice.
MUTANTS = [
    ("private_bucket", "private_bucket.py", "block_public_policy=True", "block_public_policy=False",
     "no_public_access"),
    ("private_bucket", "private_bucket.py", '"Effect": "Deny"', '"Effect": "Allow"', "tls_only"),
    ("private_bucket", "private_bucket.py", '"AES256" if args.kms_key_arn is None else "aws:kms"', '"AES256"',
     "encrypted_with_our_key"),
    ("private_bucket", "private_bucket.py", '{"status": "Enabled"}', '{"status": "Suspended"}', "versions_are_kept"),
    ("private_bucket", "private_bucket.py", '= "COMPLIANCE"', '= "GOVERNANCE"', "locked_for_seven_years"),
    ("audit_archive", "private_bucket.py", "block_public_acls=True", "block_public_acls=False", "no_public_access"),
    ("audit_archive", "private_bucket.py", "document(tls_only(self.arn), *statements)", "document(*statements)",
     "tls_only"),
    ("audit_archive", "audit_archive.py", "kms_key_arn=args.kms_key_arn,", "", "encrypted_with_our_key"),
    ("audit_archive", "private_bucket.py", '{"status": "Enabled"}', '{"status": "Suspended"}', "versions_are_kept"),
    ("audit_archive", "audit_archive.py", "lock_years=args.retention_years", "lock_years=1",
     "locked_for_seven_years"),
    ("audit_archive", "audit_archive.py", '"s3:DeleteObjectVersion", ', "", "nobody_deletes_or_uses_another_key"),
    ("audit_archive", "audit_archive.py", 'retain=args.lock_mode == "COMPLIANCE"', "retain=False",
     "left_when_the_stack_is_destroyed"),
    ("channel_backups", "channel_backups.py", "kms_key_arn=args.kms_key_arn,", "", "encrypted_with_our_key"),
    ("channel_backups", "private_bucket.py", "ignore_public_acls=True", "ignore_public_acls=False",
     "no_public_access"),
    ("channel_backups", "private_bucket.py", '"aws:SecureTransport": "false"', '"aws:SecureTransport": "true"',
     "tls_only"),
    ("channel_backups", "private_bucket.py", '{"status": "Enabled"}', '{"status": "Suspended"}', "versions_are_kept"),
    ("channel_backups", "channel_backups.py", "retain=args.retain", "retain=False",
     "left_when_the_stack_is_destroyed"),
    ("load_balancer", "private_bucket.py", "restrict_public_buckets=True", "restrict_public_buckets=False",
     "no_public_access"),
    ("load_balancer", "private_bucket.py", '"Principal": "*"', '"Principal": {"AWS": "1"}', "tls_only"),
    ("load_balancer", "load_balancer.py", 'protocol="HTTPS"', 'protocol="HTTP"', "https_alone"),
    ("load_balancer", "load_balancer.py", "port=443", "port=80", "https_alone"),
    ("load_balancer", "load_balancer.py", "ssl_policy=args.tls_policy", 'ssl_policy="ELBSecurityPolicy-2016-08"',
     "strong_tls"),
    ("load_balancer", "load_balancer.py", "max-age=63072000", "max-age=0", "hsts_and_no_server_header"),
    ("load_balancer", "load_balancer.py", "drop_invalid_header_fields=True", "drop_invalid_header_fields=False",
     "hardened"),
    ("load_balancer", "load_balancer.py", "deletion_protection: bool = True", "deletion_protection: bool = False",
     "hardened"),
    ("load_balancer", "load_balancer.py", '"enabled": True, "prefix": "access"',
     '"enabled": False, "prefix": "access"', "accesses_are_logged"),
    ("load_balancer", "load_balancer.py", "[args.security_group_id]", '["sg-open"]',
     "only_the_given_group_decides_who_comes_in"),
    ("load_balancer", "load_balancer.py", 'health_path: str = "/ready"', 'health_path: str = "/health"',
     "health_is_asked_at_ready_on_3001"),
    ("load_balancer", "load_balancer.py", "port: int = 3001", "port: int = 3000", "health_is_asked_at_ready_on_3001"),
    ("load_balancer", "load_balancer.py", '"status_code": "404"', '"status_code": "200"', "other_hosts_get_nothing"),
    ("load_balancer", "load_balancer.py", '"values": [args.test_secret]', '"values": ["yes"]',
     "the_test_rule_needs_its_secret"),
    ("waf", "waf.py", '"override_action": {"none": {}}', '"override_action": {"count": {}}', "managed_rules_block"),
    ("waf", "waf.py", '"action": {"block"', '"action": {"count"', "addresses_are_limited"),
    ("waf", "waf.py", "resource_arn=args.load_balancer_arn", 'resource_arn="arn:other"',
     "it_protects_the_load_balancer"),
    ("waf", "waf.py", '"x-api-key", ', "", "its_log_has_no_credentials"),
    ("waf", "waf.py", "retention_in_days=args.log_days", "retention_in_days=0", "lines_are_encrypted_and_end"),
    ("certificate", "certificate.py", 'validation_method="DNS"', 'validation_method="EMAIL"', "validated_by_dns"),
    ("alias", "certificate.py", 'type="HTTPS"', 'type="HTTP"', "asked_from_outside_by_https"),
    ("alias", "certificate.py", '"name": args.target_dns_name', '"name": args.host', "an_alias_of_the_target"),
    ("cdn", "private_bucket.py", "ignore_public_acls=True", "ignore_public_acls=False", "no_public_access"),
    ("cdn", "private_bucket.py", '"aws:SecureTransport": "false"', '"aws:SecureTransport": "true"', "tls_only"),
    ("cdn", "cdn.py", '"https-only"', '"allow-all"', "https_only_and_modern"),
    ("cdn", "cdn.py", "TLSv1.2_2021", "TLSv1", "https_only_and_modern"),
    ("cdn", "cdn.py", '"Action": "s3:GetObject"', '"Action": "s3:*"', "the_bucket_is_read_by_the_distribution_alone"),
    ("cdn", "cdn.py", "script-src 'self'", "script-src 'unsafe-inline'", "security_headers"),
    ("notifications", "notifications.py", "kms_master_key_id=self._key.arn,", 'kms_master_key_id="alias/aws/sns",',
     "topics_are_encrypted_with_a_key_that_rotates"),
    ("notifications", "notifications.py", '"Bool": {"aws:SecureTransport": "false"}',
     '"Bool": {"aws:SecureTransport": "true"}', "nobody_publishes_in_plain"),
    ("notifications", "notifications.py", 'self._subscribe("critical-pagerduty"', 'print("critical-pagerduty"',
     "email_and_pagerduty_are_told"),
    ("notifications", "notifications.py", "pulumi.Output.secret(args.pagerduty_url)",
     "pulumi.Output.unsecret(args.pagerduty_url)", "urls_are_secrets"),
    ("slack", "slack.py", "topic=arn,", "topic=args.critical_topic_arn,", "both_topics_reach_slack"),
    ("slack", "slack.py", '["secretsmanager:GetSecretValue"], [secret_arn]',
     '["secretsmanager:GetSecretValue"], ["*"]', "it_reads_its_secret_alone"),
    ("slack", "slack.py", "alarm_actions=[self._args.critical_topic_arn]", "alarm_actions=[]",
     "a_silent_channel_is_told"),
    ("slack", "slack.py", "kms_key_id=args.log_key_arn,", "", "lines_are_encrypted_and_end"),
    ("logs", "logs.py", "retention_in_days=args.retention_days", "retention_in_days=0",
     "lines_are_encrypted_and_end"),
    ("logs", "logs.py", "kms_key_id=args.kms_key_arn,", "", "lines_are_encrypted_and_end"),
    ("alarms", "alarms.py", "alarm_actions=[topic]", "alarm_actions=[]", "every_alarm_tells_a_topic"),
    ("alarms", "alarms.py", "actions_enabled=True", "actions_enabled=False", "every_alarm_tells_a_topic"),
    ("alarms", "alarms.py", "row.severity is Severity.CRITICAL else", "row.severity is Severity.WARN else",
     "every_alarm_tells_a_topic"),
    ("alarms", "alarm_table/platform.py", "missing=Missing.BREACHING,", "",
     "silence_is_a_failure_where_something_must_answer"),
    ("alarms", "alarm_table/payments.py", "missing=Missing.BREACHING if is_on else Missing.NOT_BREACHING,", "",
     "silence_is_a_failure_where_something_must_answer"),
    ("alarms", "alarms.py", "treat_missing_data=row.missing.value,", "", "every_missing_data_rule_is_said"),
    ("alarms", "metric_names.py", '"Deligate/Payments"', '"Delegate/Payments"',
     "the_guides_namespace_letter_by_letter"),
    ("service", "container.py", '"image": args.image,', '"image": "payments:latest",', "image_by_digest"),
    ("service", "container.py", 'USER = "10001:10001"', 'USER = "0:0"', "no_root_user"),
    ("service", "container.py", '"readonlyRootFilesystem": True', '"readonlyRootFilesystem": False',
     "read_only_root"),
    ("service", "container.py", '{"drop": ["ALL"]}', '{"drop": []}', "no_capability"),
    ("service", "container.py", '["CMD", "python", "-c", ', '["CMD", "curl", "-f", ',
     "health_without_curl_on_the_roles_port"),
    ("service", "service.py", '"WORKER_PORT"),\n                args.worker_role_arn',
     '"PORT"),\n                args.worker_role_arn', "health_without_curl_on_the_roles_port"),
    ("service", "container.py", '{"name": key, "valueFrom": args.secrets[key]}',
     '{"name": key, "valueFrom": "planted"}', "secrets_by_reference_alone"),
    ("service", "service.py", "web, args.web_secrets", "web, args.worker_secrets", "wallets_at_the_worker_alone"),
    ("service", "service.py", "cpu_units: int = 2048", "cpu_units: int = 1024", "two_cpus_and_four_gib"),
    ("service", "service.py", '"assign_public_ip": False', '"assign_public_ip": True', "no_public_address"),
    ("service", "service.py", "minimum_web_tasks: int = 3", "minimum_web_tasks: int = 2",
     "three_web_tasks_and_never_fewer"),
    ("service", "service.py", '"enable": True, "rollback": True}', '"enable": True, "rollback": False}',
     "a_bad_release_is_rolled_back"),
    ("service", "service.py", "wait: bool = True", "wait: bool = False", "a_bad_release_is_rolled_back"),
    ("service", "service.py", '= "CANARY"', '= "ROLLING"', "traffic_moves_in_steps"),
    ("service", "service.py", "skip_destroy=True", "skip_destroy=False", "revisions_stay_for_a_rollback"),
    ("rollout_role", "rollout_role.py", "[listener_arn, *rule_arns]", '["*"]', "it_moves_this_traffic_alone"),
    ("rollout_role", "rollout_role.py", '{"StringEquals": {"aws:SourceAccount": account_id}}', "None",
     "roles_are_taken_for_this_account_alone"),
    ("scheduled_tasks", "scheduled_tasks.py", '{"StringEquals": {"aws:SourceAccount": account_id}}', "None",
     "roles_are_taken_for_this_account_alone"),
    ("backups", "backups.py", '{"StringEquals": {"aws:SourceAccount": account_id}}', "None",
     "roles_are_taken_for_this_account_alone"),
    ("autoscaling", "autoscaling.py", "MOST_TASKS = 10", "MOST_TASKS = 100", "three_to_ten_tasks"),
    ("autoscaling", "autoscaling.py", "minimum: int = 3", "minimum: int = 2", "three_to_ten_tasks"),
    ("autoscaling", "autoscaling.py", "cpu_percent: int = 70", "cpu_percent: int = 60", "at_the_guides_figures"),
    ("autoscaling", "autoscaling.py", "pending_transactions: int = 50", "pending_transactions: int = 100",
     "at_the_guides_figures"),
    ("scheduled_tasks", "../maintenance_jobs.py", 'schedule="30 2 * * *"', 'schedule="30 2 * * 1"',
     "the_audit_log_is_checked_each_day"),
    ("scheduled_tasks", "../maintenance_jobs.py", 'login="owner"', 'login="app"',
     "the_database_is_optimised_each_month_as_its_owner"),
    ("scheduled_tasks", "../maintenance_jobs.py", "int(weekday) + 1", "int(weekday)",
     "reports_of_a_day_a_week_and_a_month"),
    ("scheduled_tasks", "scheduled_tasks.py", "= args.containers[kind]", '= args.containers["app"]',
     "one_login_a_definition"),
    ("scheduled_tasks", "scheduled_tasks.py", "if kind == ARCHIVE else None", "if kind != ARCHIVE else None",
     "the_archive_is_checked_each_week_by_who_may_only_read_it"),
    ("scheduled_tasks", "scheduled_tasks.py", '{"anything-but": 0}', '{"numeric": ["=", 0]}', "what_fails_is_told"),
    ("scheduled_tasks", "scheduled_tasks.py", '["ecs:RunTask"], list(definition_arns)', '["ecs:RunTask"], ["*"]',
     "it_may_start_this_definition_alone"),
    ("scheduled_tasks", "scheduled_tasks.py", "kms_master_key_id=args.kms_key_arn,", "",
     "the_dead_letters_are_encrypted"),
    ("backups", "backups.py", '"lifecycle": {"delete_after": days}', '"lifecycle": {"delete_after": 7}',
     "seven_daily_four_weekly_twelve_monthly"),
    ("backups", "backups.py", "resources=[args.database_arn]", 'resources=["*"]', "the_database_is_in_the_plan"),
    ("backups", "backups.py", "lock: bool = True", "lock: bool = False", "copies_are_encrypted_and_locked"),
    ("backups", "backups.py", "? * MON *", "1 * ? *", "restores_are_tested_each_week"),
    ("backups", "backups.py", ', "RESTORE_JOB_FAILED"', "", "failures_are_told"),
    ("database_events", "database_events.py", '"failure", ', "", "what_happens_to_the_database_is_told"),
    ("budget", "budget.py", '(80, "ACTUAL")', '(180, "ACTUAL")', "told_at_80_percent_and_before_100"),
    ("dashboards", "metric_names.py", '"Deligate/Payments"', '"Delegate/Payments"', "the_guides_metrics_are_shown"),
    ("dashboards", "dashboards.py", "top + HEIGHT *", "top + 1 *", "widgets_do_not_overlap"),
]  # fmt: skip


@remembered
def whole(component: str, knows: bool = True) -> Declared:
    return declared(PROGRAMS[component], knows=knows)


@pytest.mark.parametrize(
    ("component", "name"), [(part, name) for part, checks in WORKLOAD.checks.items() for name in checks]
)
def test_a_component_keeps_each_property(component: str, name: str) -> None:
    assert name not in WORKLOAD.failing(component, whole(component))


@pytest.mark.parametrize(("component", "file", "old", "new", "name"), MUTANTS)
def test_a_mutant_is_noticed_by_the_property_it_breaks(
    component: str, file: str, old: str, new: str, name: str
) -> None:
    with mutated(file, old, new):
        assert name in WORKLOAD.failing(component, declared(PROGRAMS[component]))


def test_every_property_is_broken_by_some_mutant() -> None:
    assert {(mutant[0], mutant[4]) for mutant in MUTANTS} == {
        (part, name) for part, checks in WORKLOAD.checks.items() for name in checks
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
