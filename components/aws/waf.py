"""The firewall before the load balancer (`railyard:aws:Waf`):

- AWS' managed rules: common attacks, known bad inputs, SQL injection, bad addresses;
- a limit for one address over 5 min, and a tighter one for creating invoices, ahead of the service's own limits;
- a log of what it blocked, without the headers that carry credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.checks import check_between, check_not_empty, check_one_of
from components.aws.logs import RETENTION_DAYS
from components.tags import check_tags

# Vendor's groups in the order of evaluation, with the rules that only count: the first two would refuse what our API
# takes (bodies up to 16 KiB, URLs in webhook endpoints' bodies), which the service checks itself.
MANAGED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("AWSManagedRulesAmazonIpReputationList", ()),
    ("AWSManagedRulesCommonRuleSet", ("SizeRestrictions_BODY", "GenericRFI_BODY")),
    ("AWSManagedRulesKnownBadInputsRuleSet", ()),
    ("AWSManagedRulesSQLiRuleSet", ()),
)

CREDENTIAL_HEADERS = ("authorization", "cookie", "x-api-key", "payment-signature")
INVOICE_PATH = "/api/lightning/create-invoice"


@dataclass(frozen=True, kw_only=True)
class WafArgs:
    """Arguments of `Waf`.

    Attributes:
        load_balancer_arn: what it protects.
        kms_key_arn: customer key of its log group.
        requests_per_5_minutes: of one address, above the service's own limits (facts.md row 6), so that it stops floods
            and not customers.
        invoices_per_5_minutes: POSTs to create-invoice of one address; the guides' 50 a minute and 10 of burst.
        log_days: how long its log is kept.
        tags: of every resource.
    """

    load_balancer_arn: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    requests_per_5_minutes: int = 10_000
    invoices_per_5_minutes: int = 300
    log_days: int = 90
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        for key in ("requests_per_5_minutes", "invoices_per_5_minutes"):
            check_between(self, key, 10, 2_000_000_000, "Give at least 10, the least that WAF takes.")
        check_one_of(self, "log_days", RETENTION_DAYS, "Give 90.")
        check_not_empty(self, "kms_key_arn", "Give the ARN of the stack's key for logs.")


def _visible(name: str) -> dict[str, Any]:
    return {"cloudwatch_metrics_enabled": True, "sampled_requests_enabled": True, "metric_name": name}


def _managed(priority: int, group: str, counted: tuple[str, ...]) -> dict[str, Any]:
    statement: dict[str, Any] = {"vendor_name": "AWS", "name": group}
    if counted:
        statement["rule_action_overrides"] = [{"name": rule, "action_to_use": {"count": {}}} for rule in counted]
    return {
        "name": group,
        "priority": priority,
        "override_action": {"none": {}},
        "statement": {"managed_rule_group_statement": statement},
        "visibility_config": _visible(group),
    }


def _limit(priority: int, name: str, limit: int, scope: dict[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {"limit": limit, "aggregate_key_type": "IP", "evaluation_window_sec": 300}
    if scope is not None:
        statement["scope_down_statement"] = scope
    return {
        "name": name,
        "priority": priority,
        # As the service answers: callers treat both alike.
        "action": {"block": {"custom_response": {"response_code": 429}}},
        "statement": {"rate_based_statement": statement},
        "visibility_config": _visible(name),
    }


def rules(args: WafArgs) -> list[dict[str, Any]]:
    """The rules in the order of evaluation."""
    invoices = {
        "byte_match_statement": {
            "field_to_match": {"uri_path": {}},
            "positional_constraint": "STARTS_WITH",
            "search_string": INVOICE_PATH,
            "text_transformations": [{"priority": 0, "type": "LOWERCASE"}],
        }
    }
    limits = [
        _limit(0, "requests-of-an-address", args.requests_per_5_minutes),
        _limit(1, "invoices-of-an-address", args.invoices_per_5_minutes, invoices),
    ]
    return limits + [_managed(10 + place, group, counted) for place, (group, counted) in enumerate(MANAGED)]


class Waf(pulumi.ComponentResource):
    """The firewall; `metric_name` is its name in CloudWatch, `arn` its ARN."""

    def __init__(self, name: str, args: WafArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Waf", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.metric_name = f"{name}-acl"
        acl = aws.wafv2.WebAcl(
            f"{name}-acl",
            name=f"{name}-acl",
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=rules(args),
            visibility_config=_visible(self.metric_name),
            tags=args.tags,
            opts=child,
        )
        aws.wafv2.WebAclAssociation(
            f"{name}-association", resource_arn=args.load_balancer_arn, web_acl_arn=acl.arn, opts=child
        )
        log = aws.cloudwatch.LogGroup(
            f"{name}-log",
            # WAF writes only to groups whose name begins so.
            name=f"aws-waf-logs-{name}",
            kms_key_id=args.kms_key_arn,
            retention_in_days=args.log_days,
            tags=args.tags,
            opts=child,
        )
        aws.wafv2.WebAclLoggingConfiguration(
            f"{name}-logging",
            resource_arn=acl.arn,
            log_destination_configs=[log.arn],
            redacted_fields=[{"single_header": {"name": header}} for header in CREDENTIAL_HEADERS],
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [
                            {"action_condition": {"action": "BLOCK"}},
                            {"action_condition": {"action": "COUNT"}},
                        ],
                    }
                ],
            },
            opts=child,
        )
        self.arn = acl.arn
        self.register_outputs({"arn": self.arn})
