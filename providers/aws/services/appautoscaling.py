"""Application Auto Scaling. Source of what replaces: terraform-provider-aws `internal/service/appautoscaling/`."""

from __future__ import annotations

from providers.aws.kind import Kind, Op, Tagging

OF_TARGET = {
    "ServiceNamespace": "$serviceNamespace",
    "ResourceId": "$resourceId",
    "ScalableDimension": "$scalableDimension",
}
SAME_TARGET = ("resourceId", "scalableDimension", "serviceNamespace")

TARGET = Kind(
    type="aws:appautoscaling/target:Target",
    service="application-autoscaling",
    create=Op("register_scalable_target", names={"roleArn": "RoleARN"}),
    read=Op(
        "describe_scalable_targets",
        {
            "ServiceNamespace": "$serviceNamespace",
            "ResourceIds": ["$resourceId"],
            "ScalableDimension": "$scalableDimension",
        },
    ),
    at="ScalableTargets[0]",
    update=Op("register_scalable_target", OF_TARGET, names={"roleArn": "RoleARN"}),
    delete=Op("deregister_scalable_target", OF_TARGET),
    id="$resourceId",
    answers={"roleArn": "RoleARN"},
    outputs={"arn": "ScalableTargetARN"},
    replaces_on=SAME_TARGET,
    recorded={"tags": "moto has no tags of a scalable target", "roleArn": "moto tells its own"},
    tagging=Tagging(
        add=Op("tag_resource", {"ResourceARN": "$arn", "Tags": "$tags"}),
        remove=Op("untag_resource", {"ResourceARN": "$arn", "TagKeys": "$keys"}),
    ),
)

POLICY = Kind(
    type="aws:appautoscaling/policy:Policy",
    service="application-autoscaling",
    create=Op("put_scaling_policy"),
    read=Op("describe_scaling_policies", {**OF_TARGET, "PolicyNames": ["$name"]}),
    at=lambda answer, scope: next((p for p in answer["ScalingPolicies"] if p["PolicyName"] == scope["name"]), None),
    update=Op("put_scaling_policy"),
    delete=Op("delete_scaling_policy", {**OF_TARGET, "PolicyName": "$name"}),
    id="$name",
    names={
        "name": "PolicyName",
        "targetTrackingScalingPolicyConfiguration": "TargetTrackingScalingPolicyConfiguration",
        "stepScalingPolicyConfiguration": "StepScalingPolicyConfiguration",
    },
    outputs={"arn": "PolicyARN", "alarmArns": "Alarms[].AlarmARN"},
    defaults={"policyType": "StepScaling"},
    autoname="name",
    name_limit=255,
    replaces_on=("name", *SAME_TARGET),
)

SCHEDULED_ACTION = Kind(
    type="aws:appautoscaling/scheduledAction:ScheduledAction",
    service="application-autoscaling",
    create=Op("put_scheduled_action"),
    read=Op("describe_scheduled_actions", {**OF_TARGET, "ScheduledActionNames": ["$name"]}),
    at=lambda answer, scope: next(
        (one for one in answer["ScheduledActions"] if one["ScheduledActionName"] == scope["name"]), None
    ),
    update=Op("put_scheduled_action"),
    delete=Op("delete_scheduled_action", {**OF_TARGET, "ScheduledActionName": "$name"}),
    id="$name",
    names={"name": "ScheduledActionName"},
    outputs={"arn": "ScheduledActionARN"},
    autoname="name",
    replaces_on=("name", *SAME_TARGET),
)

KINDS = [TARGET, POLICY, SCHEDULED_ACTION]
