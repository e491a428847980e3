"""RDS: its certificate authorities, the versions it makes, and fields of an instance that moto drops."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from providers.emulation.operation import Call, Operation, moto_backend, refuse

# AWS, "Using SSL/TLS to encrypt a connection to a DB instance": the authorities of every commercial region and how long
# they last. Read in November 2026.
AUTHORITIES: Mapping[str, tuple[datetime, datetime]] = {
    "rds-ca-rsa2048-g1": (datetime(2021, 5, 25, tzinfo=UTC), datetime(2061, 5, 25, tzinfo=UTC)),
    "rds-ca-rsa4096-g1": (datetime(2021, 5, 25, tzinfo=UTC), datetime(2121, 5, 25, tzinfo=UTC)),
    "rds-ca-ecc384-g1": (datetime(2021, 5, 25, tzinfo=UTC), datetime(2121, 5, 25, tzinfo=UTC)),
}
# AWS, "Release calendars for Amazon RDS for PostgreSQL": minors of 16 that an instance can still be made with; the
# settings take the same ones (components/settings/cloud.py).
POSTGRESQL: tuple[str, ...] = tuple(f"16.{minor}" for minor in range(11, 16))


def _certificates(call: Call) -> Mapping[str, Any]:
    wanted = call.given.get("CertificateIdentifier")
    if wanted is not None and wanted not in AUTHORITIES:
        refuse("CertificateNotFound", f"The certificate authority {wanted} does not exist.")
    return {
        "Certificates": [
            {
                "CertificateIdentifier": name,
                "CertificateType": "CA",
                "ValidFrom": begins,
                "ValidTill": ends,
                "CertificateArn": f"arn:aws:rds:{call.region}::cert:{name}",
                "CustomerOverride": False,
            }
            for name, (begins, ends) in AUTHORITIES.items()
            if wanted in (None, name)
        ],
        "DefaultCertificateForNewLaunches": "rds-ca-rsa2048-g1",
    }


def _versions(call: Call) -> Mapping[str, Any]:
    engine, version = call.given.get("Engine"), call.given.get("EngineVersion")
    return {
        "DBEngineVersions": [
            {
                "Engine": "postgres",
                "EngineVersion": it,
                "MajorEngineVersion": "16",
                "DBParameterGroupFamily": "postgres16",
                "DBEngineDescription": "PostgreSQL",
                "DBEngineVersionDescription": f"PostgreSQL {it}",
                "Status": "available",
            }
            for it in POSTGRESQL
            if engine in (None, "postgres") and version in (None, "16", it)
        ]
    }


def _modify_subscription(call: Call) -> Mapping[str, Any]:
    name = call.given["SubscriptionName"]
    found = moto_backend("rds", call).event_subscriptions.get(name)
    if found is None:
        refuse("SubscriptionNotFound", f"The event subscription {name} does not exist.")
    for member, attribute in _OF_SUBSCRIPTION.items():
        if member in call.given:
            setattr(found, attribute, call.given[member])
    return {"EventSubscription": {"CustSubscriptionId": name, "SnsTopicArn": found.sns_topic_arn}}


_OF_SUBSCRIPTION = {
    "SnsTopicArn": "sns_topic_arn",
    "SourceType": "source_type",
    "EventCategories": "event_categories",
    "Enabled": "enabled",
}
OPERATIONS: Mapping[str, Operation] = {
    "DescribeCertificates": _certificates,
    "DescribeDBEngineVersions": _versions,
    "ModifyEventSubscription": _modify_subscription,
}
KEPT = {
    "enable_performance_insights": "performance_insights_enabled",
    "performance_insights_kms_key_id": "performance_insights_kms_key_id",
    "performance_insights_retention_period": "performance_insights_retention_period",
}


def complete_instances() -> None:
    """Have moto's instances keep and tell what it was given of Performance Insights and enhanced monitoring."""
    from moto.rds.models import DBInstance, RDSBackend

    def monitoring_arn(instance: Any) -> str | None:
        """RDS' log stream of the operating system's figures, where enhanced monitoring is on."""
        if not instance.monitoring_interval:
            return None
        group = "log-group:RDSOSMetrics:log-stream"
        return f"arn:aws:logs:{instance.region}:{instance.account_id}:{group}:{instance.dbi_resource_id}"

    def keeping(method: Any) -> Any:
        def kept(backend: Any, *arguments: Any, **given: Any) -> Any:
            made = method(backend, *arguments, **given)
            parameters = arguments[-1]
            for name, attribute in KEPT.items():
                if parameters.get(name) is not None:
                    setattr(made, attribute, parameters[name])
            return made

        return kept

    DBInstance.enhanced_monitoring_resource_arn = property(monitoring_arn)
    for name in ("create_db_instance", "modify_db_instance"):
        setattr(RDSBackend, name, keeping(getattr(RDSBackend, name)))
