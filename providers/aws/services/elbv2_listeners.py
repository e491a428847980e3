"""Listeners and their rules. Source of what replaces: terraform-provider-aws `internal/service/elbv2/listener*.go`."""

from __future__ import annotations

from typing import Any

from providers.aws.kind import Kind, More, Op, Setting, described
from providers.aws.services.elbv2 import TAGGING, by_key, pairs


def actions(given: Any) -> list[dict[str, Any]]:
    """Actions of a listener or a rule as ELB takes them."""
    found = []
    for order, one in enumerate(given or [], start=1):
        action: dict[str, Any] = {"Type": one["type"], "Order": int(one.get("order") or order)}
        if one.get("targetGroupArn"):
            action["TargetGroupArn"] = one["targetGroupArn"]
        if one.get("forward"):
            action["ForwardConfig"] = _forward(one["forward"])
        if one.get("redirect"):
            action["RedirectConfig"] = {key[0].upper() + key[1:]: str(value) for key, value in one["redirect"].items()}
        if one.get("fixedResponse"):
            names = {"contentType": "ContentType", "messageBody": "MessageBody", "statusCode": "StatusCode"}
            action["FixedResponseConfig"] = {names[key]: str(value) for key, value in one["fixedResponse"].items()}
        found.append(action)
    return found


def _forward(forward: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "TargetGroups": [
            {"TargetGroupArn": group["arn"], "Weight": int(group.get("weight", 1))} for group in forward["targetGroups"]
        ]
    }
    if forward.get("stickiness"):
        sticky = forward["stickiness"]
        found["TargetGroupStickinessConfig"] = {
            "Enabled": bool(sticky.get("enabled", False)),
            "DurationSeconds": int(sticky["duration"]),
        }
    return found


def conditions(given: Any) -> list[dict[str, Any]]:
    """Conditions of a rule as ELB takes them."""
    found = []
    for one in given or []:
        if one.get("hostHeader"):
            found.append({"Field": "host-header", "HostHeaderConfig": {"Values": one["hostHeader"]["values"]}})
        if one.get("pathPattern"):
            found.append({"Field": "path-pattern", "PathPatternConfig": {"Values": one["pathPattern"]["values"]}})
        if one.get("httpRequestMethod"):
            values = {"Values": one["httpRequestMethod"]["values"]}
            found.append({"Field": "http-request-method", "HttpRequestMethodConfig": values})
        if one.get("sourceIp"):
            found.append({"Field": "source-ip", "SourceIpConfig": {"Values": one["sourceIp"]["values"]}})
        if one.get("httpHeader"):
            header = one["httpHeader"]
            config = {"HttpHeaderName": header["httpHeaderName"], "Values": header["values"]}
            found.append({"Field": "http-header", "HttpHeaderConfig": config})
        for query in one.get("queryStrings") or []:
            config = {"Values": [{key.capitalize(): value for key, value in query.items()}]}
            found.append({"Field": "query-string", "QueryStringConfig": config})
    return found


# Property -> attribute of a listener.
LISTENER_ATTRIBUTES = {
    "routingHttpResponseStrictTransportSecurityHeaderValue": (
        "routing.http.response.strict_transport_security.header_value"
    ),
    "routingHttpResponseServerEnabled": "routing.http.response.server.enabled",
    "routingHttpResponseXContentTypeOptionsHeaderValue": "routing.http.response.x_content_type_options.header_value",
    "routingHttpResponseXFrameOptionsHeaderValue": "routing.http.response.x_frame_options.header_value",
    "routingHttpResponseContentSecurityPolicyHeaderValue": (
        "routing.http.response.content_security_policy.header_value"
    ),
    "tcpIdleTimeoutSeconds": "tcp.idle_timeout.seconds",
}
LISTENER_FIXED = {
    "DefaultActions": lambda scope: actions(scope.get("defaultActions")),
    "Certificates": lambda scope: (
        [{"CertificateArn": scope["certificateArn"]}] if scope.get("certificateArn") else None
    ),
    "AlpnPolicy": lambda scope: [scope["alpnPolicy"]] if scope.get("alpnPolicy") else None,
}

LISTENER = Kind(
    type="aws:lb/listener:Listener",
    service="elbv2",
    create=Op(
        "create_listener",
        LISTENER_FIXED,
        only=("loadBalancerArn", "port", "protocol", "sslPolicy", "tagsAll"),
        names={"tagsAll": "Tags"},
    ),
    read=Op("describe_listeners", {"ListenerArns": ["$id"]}),
    at="Listeners[0]",
    more=(More(Op("describe_listener_attributes", {"ListenerArn": "$id"}), "Attributes", "attributes"),),
    delete=Op("delete_listener", {"ListenerArn": "$id"}),
    id="Listeners[0].ListenerArn",
    answers={"certificateArn": "Certificates[0].CertificateArn", **by_key(LISTENER_ATTRIBUTES)},
    outputs={"arn": "ListenerArn"},
    settings=(
        Setting(
            ("port", "protocol", "sslPolicy", "certificateArn", "defaultActions", "alpnPolicy"),
            Op(
                lambda scope: "modify_listener" if "was" in scope else "",
                {**LISTENER_FIXED, "ListenerArn": "$id"},
                only=("port", "protocol", "sslPolicy"),
            ),
        ),
        Setting(
            tuple(LISTENER_ATTRIBUTES),
            Op(
                "modify_listener_attributes",
                {"ListenerArn": "$id", "Attributes": lambda scope: pairs(scope, LISTENER_ATTRIBUTES)},
                only=(),
            ),
        ),
    ),
    unread=("defaultActions", "alpnPolicy"),
    replaces_on=("loadBalancerArn",),
    tagging=TAGGING,
)

LISTENER_RULE = Kind(
    type="aws:lb/listenerRule:ListenerRule",
    service="elbv2",
    create=Op(
        "create_rule",
        {
            "Actions": lambda scope: actions(scope.get("actions")),
            "Conditions": lambda scope: conditions(scope.get("conditions")),
        },
        only=("listenerArn", "priority", "tagsAll"),
        names={"tagsAll": "Tags"},
    ),
    read=Op("describe_rules", {"RuleArns": ["$id"]}),
    at="Rules[0]",
    delete=Op("delete_rule", {"RuleArn": "$id"}),
    id="Rules[0].RuleArn",
    outputs={"arn": "RuleArn"},
    settings=(
        Setting(
            ("actions", "conditions"),
            Op(
                lambda scope: "modify_rule" if "was" in scope else "",
                {
                    "RuleArn": "$id",
                    "Actions": lambda scope: actions(scope.get("actions")),
                    "Conditions": lambda scope: conditions(scope.get("conditions")),
                },
                only=(),
            ),
        ),
        Setting(
            ("priority",),
            Op(
                lambda scope: "set_rule_priorities" if "was" in scope else "",
                {"RulePriorities": lambda scope: [{"RuleArn": scope["id"], "Priority": int(scope["priority"])}]},
                only=(),
            ),
        ),
    ),
    unread=("listenerArn", "actions", "conditions"),
    replaces_on=("listenerArn",),
    tagging=TAGGING,
)

LISTENER_CERTIFICATE = Kind(
    type="aws:lb/listenerCertificate:ListenerCertificate",
    service="elbv2",
    create=Op(
        "add_listener_certificates",
        {"ListenerArn": "$listenerArn", "Certificates": [{"CertificateArn": "$certificateArn"}]},
        only=(),
    ),
    read=Op("describe_listener_certificates", {"ListenerArn": "$listenerArn"}),
    at=lambda answer, scope: next(
        (one for one in answer["Certificates"] if one["CertificateArn"] == scope["certificateArn"]), None
    ),
    delete=Op(
        "remove_listener_certificates",
        {"ListenerArn": "$listenerArn", "Certificates": [{"CertificateArn": "$certificateArn"}]},
    ),
    id="$listenerArn,$certificateArn",
    unread=("listenerArn",),
    replaces_on=("listenerArn", "certificateArn"),
)

KINDS = [
    *described(LISTENER, "aws:alb/listener:Listener"),
    *described(LISTENER_RULE, "aws:alb/listenerRule:ListenerRule"),
    LISTENER_CERTIFICATE,
]
