"""SNS and SQS. Source of what replaces: terraform-provider-aws `internal/service/{sns,sqs}/`."""

from __future__ import annotations

from typing import Any

from providers.aws.kind import Kind, Op, Scope, Setting, Tagging

# Property -> attribute of a topic that is set and read by its name.
TOPIC_ATTRIBUTES = {
    "displayName": "DisplayName",
    "policy": "Policy",
    "deliveryPolicy": "DeliveryPolicy",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "tracingConfig": "TracingConfig",
    "signatureVersion": "SignatureVersion",
    "fifoTopic": "FifoTopic",
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "httpSuccessFeedbackRoleArn": "HTTPSuccessFeedbackRoleArn",
    "httpFailureFeedbackRoleArn": "HTTPFailureFeedbackRoleArn",
}


def topic_attributes(scope: Scope) -> dict[str, str]:
    """What a topic is made with; a queue's rest is the same."""
    return attributes(scope, TOPIC_ATTRIBUTES)


def attributes(scope: Scope, names: dict[str, str]) -> dict[str, str]:
    """The properties as attributes, all of them text."""
    found = {member: scope[name] for name, member in names.items() if scope.get(name) not in (None, "")}
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in found.items()}


def topic_setting(name: str, member: str) -> Setting:
    def text(scope: Scope) -> str:
        value = scope.get(name)
        return str(value).lower() if isinstance(value, bool) else str(value or "")

    op = Op(
        lambda scope: "set_topic_attributes" if "was" in scope else "",
        {"TopicArn": "$id", "AttributeName": member, "AttributeValue": text},
        only=(),
    )
    return Setting((name,), op, off=op)


TOPIC = Kind(
    type="aws:sns/topic:Topic",
    service="sns",
    create=Op("create_topic", {"Attributes": topic_attributes}, only=("name", "tagsAll")),
    read=Op("get_topic_attributes", {"TopicArn": "$id"}),
    at="Attributes",
    delete=Op("delete_topic", {"TopicArn": "$id"}),
    id="TopicArn",
    names={"tagsAll": "Tags"},
    outputs={"arn": "TopicArn", "owner": "Owner"},
    autoname="name",
    name_limit=256,
    settings=tuple(topic_setting(*pair) for pair in TOPIC_ATTRIBUTES.items()),
    unread=("name",),
    replaces_on=("name", "namePrefix", "fifoTopic"),
    recorded={"tracingConfig": "moto tells none", "signatureVersion": "moto tells none"},
    tagging=Tagging(
        add=Op("tag_resource", {"ResourceArn": "$id", "Tags": "$tags"}),
        remove=Op("untag_resource", {"ResourceArn": "$id", "TagKeys": "$keys"}),
        show=Op("list_tags_for_resource", {"ResourceArn": "$id"}),
    ),
)

SET_POLICY = Op(
    "set_topic_attributes", {"TopicArn": "$arn", "AttributeName": "Policy", "AttributeValue": "$policy"}, only=()
)

TOPIC_POLICY = Kind(
    type="aws:sns/topicPolicy:TopicPolicy",
    service="sns",
    create=SET_POLICY,
    read=Op("get_topic_attributes", {"TopicArn": "$arn"}),
    at="Attributes",
    update=Op(
        "set_topic_attributes",
        {"TopicArn": "$arn", "AttributeName": "Policy", "AttributeValue": "$policy"},
        only=("policy",),
    ),
    id="$arn",
    answers={"arn": "TopicArn"},
    outputs={"owner": "Owner"},
    replaces_on=("arn",),
)

SUBSCRIPTION_ATTRIBUTES = {
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "rawMessageDelivery": "RawMessageDelivery",
    "redrivePolicy": "RedrivePolicy",
    "deliveryPolicy": "DeliveryPolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}


def subscription_setting(name: str, member: str) -> Setting:
    setting = topic_setting(name, member)
    fixed = {**setting.op.fixed, "SubscriptionArn": "$id"}
    fixed.pop("TopicArn")
    op = Op(lambda scope: "set_subscription_attributes" if "was" in scope else "", fixed, only=())
    return Setting((name,), op, off=op)


SUBSCRIPTION = Kind(
    type="aws:sns/topicSubscription:TopicSubscription",
    service="sns",
    create=Op(
        "subscribe",
        {
            "TopicArn": "$topic",
            "ReturnSubscriptionArn": True,
            "Attributes": lambda scope: attributes(scope, SUBSCRIPTION_ATTRIBUTES),
        },
        only=("protocol", "endpoint"),
    ),
    read=Op("get_subscription_attributes", {"SubscriptionArn": "$id"}),
    at="Attributes",
    delete=Op("unsubscribe", {"SubscriptionArn": "$id"}),
    id="SubscriptionArn",
    answers={"topic": "TopicArn"},
    outputs={"arn": "SubscriptionArn", "ownerId": "Owner", "pendingConfirmation": "$pendingConfirmation"},
    settings=tuple(subscription_setting(*pair) for pair in SUBSCRIPTION_ATTRIBUTES.items()),
    unread=("endpointAutoConfirms", "confirmationTimeoutInMinutes"),
    replaces_on=("topic", "protocol", "endpoint"),
)

QUEUE_ATTRIBUTES = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "maxMessageSize": "MaximumMessageSize",
    "delaySeconds": "DelaySeconds",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "policy": "Policy",
    "redrivePolicy": "RedrivePolicy",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "fifoQueue": "FifoQueue",
    "contentBasedDeduplication": "ContentBasedDeduplication",
}


def changed_attributes(scope: Scope) -> dict[str, Any]:
    """What an update sets; a policy that is taken away is set to nothing."""
    gone = {member: "" for name, member in QUEUE_ATTRIBUTES.items() if scope["was"].get(name) and not scope.get(name)}
    found = {**gone, **attributes(scope, QUEUE_ATTRIBUTES)}
    return {key: value for key, value in found.items() if key != "FifoQueue"}


QUEUE = Kind(
    type="aws:sqs/queue:Queue",
    service="sqs",
    create=Op(
        "create_queue",
        {
            "QueueName": "$name",
            "Attributes": lambda scope: attributes(scope, QUEUE_ATTRIBUTES),
            "tags": lambda scope: scope["tagsAll"] or None,
        },
        only=(),
    ),
    read=Op("get_queue_attributes", {"QueueUrl": "$id", "AttributeNames": ["All"]}),
    at="Attributes",
    update=Op(
        "set_queue_attributes", {"QueueUrl": "$id", "Attributes": changed_attributes}, only=tuple(QUEUE_ATTRIBUTES)
    ),
    delete=Op("delete_queue", {"QueueUrl": "$id"}),
    id="QueueUrl",
    answers=QUEUE_ATTRIBUTES,
    outputs={"arn": "QueueArn", "url": "$id"},
    autoname="name",
    name_limit=80,
    unread=("name",),
    replaces_on=("name", "namePrefix", "fifoQueue"),
    tagging=Tagging(
        add=Op("tag_queue", {"QueueUrl": "$id", "Tags": "$tags"}),
        remove=Op("untag_queue", {"QueueUrl": "$id", "TagKeys": "$keys"}),
        show=Op("list_queue_tags", {"QueueUrl": "$id"}),
        style="map",
    ),
)


def queue_policy(op: str, policy: Any) -> Op:
    return Op(op, {"QueueUrl": "$queueUrl", "Attributes": {"Policy": policy}}, only=("policy",))


QUEUE_POLICY = Kind(
    type="aws:sqs/queuePolicy:QueuePolicy",
    service="sqs",
    create=queue_policy("set_queue_attributes", "$policy"),
    read=Op("get_queue_attributes", {"QueueUrl": "$queueUrl", "AttributeNames": ["Policy", "QueueArn"]}),
    at="Attributes",
    gone_when="!Policy",
    update=queue_policy("set_queue_attributes", "$policy"),
    delete=queue_policy("set_queue_attributes", ""),
    id="$queueUrl",
    unread=("queueUrl",),
    replaces_on=("queueUrl",),
)

KINDS = [TOPIC, TOPIC_POLICY, SUBSCRIPTION, QUEUE, QUEUE_POLICY]
