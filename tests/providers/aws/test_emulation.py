"""What the emulated account does beside moto: kept as given, told again, refused where AWS refuses."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from providers.base.provider import ProviderError
from tests.providers.aws.account_client import client
from tests.providers.aws.documents import ROLE_ARN
from tests.providers.aws.test_data import subnets
from tests.providers.aws.world import World

DATABASE = "arn:aws:rds:eu-central-1:123456789012:db:payments"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:critical"


def test_backups_are_planned_selected_told_and_tested(world: World, account: str) -> None:
    vault = world.make("aws:backup/vault:Vault", "vault", name="vault")
    rule = {"ruleName": "daily", "targetVaultName": vault.id, "schedule": "cron(0 3 * * ? *)"}
    plan = world.make("aws:backup/plan:Plan", "plan", name="plan", rules=[rule])
    version = plan["version"]
    plan = world.change(plan, rules=[{**rule, "lifecycle": {"deleteAfter": 7}}])
    assert plan["version"] != version
    backup = client(account, "backup")
    (told,) = backup.get_backup_plan(BackupPlanId=plan.id)["BackupPlan"]["Rules"]
    assert told["Lifecycle"] == {"DeleteAfterDays": 7}
    selection = world.make(
        "aws:backup/selection:Selection",
        "database",
        name="database",
        planId=plan.id,
        iamRoleArn=ROLE_ARN,
        resources=[DATABASE],
    )
    assert world.plan(selection, resources=["*"]) == {"resources[0]": True}
    (listed,) = backup.list_backup_selections(BackupPlanId=plan.id)["BackupSelectionsList"]
    assert (listed["SelectionId"], listed["SelectionName"]) == (selection.id, "database")
    world.make(
        "aws:backup/vaultNotifications:VaultNotifications",
        "told",
        backupVaultName=vault.id,
        snsTopicArn=TOPIC,
        backupVaultEvents=["BACKUP_JOB_FAILED"],
    )
    test = world.make(
        "aws:backup/restoreTestingPlan:RestoreTestingPlan",
        "weekly",
        name="weekly",
        scheduleExpression="cron(0 6 ? * MON *)",
        startWindowHours=4,
        recoveryPointSelection={
            "algorithm": "LATEST_WITHIN_WINDOW",
            "includeVaults": ["*"],
            "recoveryPointTypes": ["SNAPSHOT"],
            "selectionWindowDays": 7,
        },
    )
    test = world.change(test, startWindowHours=8)
    tested = world.make(
        "aws:backup/restoreTestingSelection:RestoreTestingSelection",
        "database",
        name="database",
        restoreTestingPlanName=test.id,
        protectedResourceType="RDS",
        protectedResourceArns=[DATABASE],
        iamRoleArn=ROLE_ARN,
        validationWindowHours=4,
        restoreMetadataOverrides={"publiclyAccessible": "false"},
    )
    tested = world.change(tested, validationWindowHours=2)
    with pytest.raises(ClientError, match="has selections still"):
        backup.delete_restore_testing_plan(RestoreTestingPlanName="weekly")
    world.end(tested)


def test_a_plan_that_has_ended_leaves_its_name_to_the_next(world: World, account: str) -> None:
    world.make("aws:backup/vault:Vault", "vault", name="again")
    rule = {"ruleName": "daily", "targetVaultName": "again", "schedule": "cron(0 3 * * ? *)"}
    first = world.make("aws:backup/plan:Plan", "plan", name="again", rules=[rule], tags={"stack": "test"})
    with pytest.raises(ProviderError, match="AlreadyExists"):
        world.make("aws:backup/plan:Plan", "twin", name="again", rules=[rule])
    world.end(first)
    second = world.make("aws:backup/plan:Plan", "plan", name="again", rules=[rule], tags={"stack": "test"})
    assert second.id != first.id
    backup = client(account, "backup")
    kept = backup.list_backup_plans(IncludeDeleted=True)["BackupPlansList"]
    assert {first.id, second.id} <= {plan["BackupPlanId"] for plan in kept}
    assert first.id not in {plan["BackupPlanId"] for plan in backup.list_backup_plans()["BackupPlansList"]}


def test_a_cache_that_has_ended_leaves_its_name_to_the_next(world: World, account: str) -> None:
    asked = {"replicationGroupId": "again", "description": "cache", "nodeType": "cache.t4g.small"}
    first = world.make("aws:elasticache/replicationGroup:ReplicationGroup", "cache", **asked)
    world.end(first)
    assert client(account, "elasticache").describe_cache_clusters()["CacheClusters"] == []
    world.make("aws:elasticache/replicationGroup:ReplicationGroup", "cache", **asked)


CONFIGS = {"headersConfig": {"headerBehavior": "none"}, "queryStringsConfig": {"queryStringBehavior": "all"}}


def test_policies_of_cloudfront_are_told_again_changed_and_ended(world: World, account: str) -> None:
    cookies = {"cookieBehavior": "whitelist", "cookies": {"items": ["session", "theme"]}}
    cache = world.make(
        "aws:cloudfront/cachePolicy:CachePolicy",
        "cache",
        name="cache",
        parametersInCacheKeyAndForwardedToOrigin={"cookiesConfig": cookies, **CONFIGS},
    )
    origin = world.make(
        "aws:cloudfront/originRequestPolicy:OriginRequestPolicy",
        "origin",
        name="origin",
        cookiesConfig=cookies,
        **CONFIGS,
    )
    security = {
        "strictTransportSecurity": {"accessControlMaxAgeSec": 60, "override": True, "includeSubdomains": True},
        "frameOptions": {"frameOption": "DENY", "override": True},
    }
    headers = world.make(
        "aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy",
        "headers",
        name="headers",
        securityHeadersConfig=security,
        customHeadersConfig={"items": [{"header": "X-Rail", "value": "lnd", "override": True}]},
    )
    cdn = client(account, "cloudfront")
    key = cdn.get_cache_policy(Id=cache.id)["CachePolicy"]["CachePolicyConfig"]
    assert key["ParametersInCacheKeyAndForwardedToOrigin"]["CookiesConfig"]["Cookies"] == {
        "Quantity": 2,
        "Items": ["session", "theme"],
    }
    assert key["DefaultTTL"] == 86400
    before = headers["etag"]
    security = {**security, "frameOptions": {"frameOption": "SAMEORIGIN", "override": True}}
    headers = world.change(headers, securityHeadersConfig=security)
    assert headers["etag"] != before
    told = cdn.get_response_headers_policy(Id=headers.id)["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]
    assert told["SecurityHeadersConfig"]["FrameOptions"] == {"FrameOption": "SAMEORIGIN", "Override": True}
    assert told["SecurityHeadersConfig"]["StrictTransportSecurity"]["AccessControlMaxAgeSec"] == 60
    assert told["CustomHeadersConfig"]["Items"][0]["Header"] == "X-Rail"
    listed = cdn.list_origin_request_policies()["OriginRequestPolicyList"]["Items"]
    assert [one["OriginRequestPolicy"]["Id"] for one in listed] == [origin.id]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        cdn.delete_response_headers_policy(Id=headers.id, IfMatch=before)
    with pytest.raises(ProviderError, match="ResponseHeadersPolicyAlreadyExists"):
        world.make(headers.resource.type, "twin", name="headers", securityHeadersConfig=security)
    assert not world.unobserved[headers.resource.type]


def test_a_selection_of_a_plan_that_is_not_there_is_refused(account: str) -> None:
    backup = client(account, "backup")
    with pytest.raises(ClientError) as refused:
        backup.get_backup_selection(BackupPlanId="plan", SelectionId="none")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_cache_s_groups_change_and_end(world: World, account: str) -> None:
    _, ids = subnets(world)
    group = world.make("aws:elasticache/subnetGroup:SubnetGroup", "sg", name="groups", subnetIds=ids[:2])
    group = world.change(group, subnetIds=ids, description="three")
    cache = client(account, "elasticache")
    (told,) = cache.describe_cache_subnet_groups(CacheSubnetGroupName="groups")["CacheSubnetGroups"]
    assert len(told["Subnets"]) == 3
    world.end(group)
    with pytest.raises(ClientError, match="CacheSubnetGroupNotFound"):
        cache.describe_cache_subnet_groups(CacheSubnetGroupName="groups")
    parameters = world.make(
        "aws:elasticache/parameterGroup:ParameterGroup",
        "pg",
        name="pg",
        family="redis7",
        parameters=[{"name": "maxmemory-policy", "value": "noeviction"}, {"name": "timeout", "value": "0"}],
    )
    parameters = world.change(parameters, parameters=[{"name": "maxmemory-policy", "value": "volatile-lru"}])
    (one,) = cache.describe_cache_parameters(CacheParameterGroupName="pg")["Parameters"]
    assert (one["ParameterName"], one["ParameterValue"]) == ("maxmemory-policy", "volatile-lru")
    world.end(parameters)
    with pytest.raises(ClientError, match="CacheParameterGroupNotFound"):
        cache.describe_cache_parameter_groups(CacheParameterGroupName="pg")


def test_rds_tells_its_authorities_its_versions_and_who_rotates(account: str) -> None:
    rds = client(account, "rds")
    (authority,) = rds.describe_certificates(CertificateIdentifier="rds-ca-rsa2048-g1")["Certificates"]
    assert authority["ValidTill"].year == 2061
    with pytest.raises(ClientError, match="CertificateNotFound"):
        rds.describe_certificates(CertificateIdentifier="rds-ca-2015")
    versions = [it["EngineVersion"] for it in rds.describe_db_engine_versions(Engine="postgres")["DBEngineVersions"]]
    assert "16.15" in versions
    assert "16.1" not in versions
    made = rds.create_db_instance(
        DBInstanceIdentifier="payments",
        Engine="postgres",
        DBInstanceClass="db.t4g.medium",
        AllocatedStorage=100,
        MasterUsername="payments_owner",
        ManageMasterUserPassword=True,
        MonitoringInterval=60,
        MonitoringRoleArn=ROLE_ARN,
        EnablePerformanceInsights=True,
        PerformanceInsightsRetentionPeriod=7,
    )["DBInstance"]
    assert made["PerformanceInsightsEnabled"] is True
    assert made["EnhancedMonitoringResourceArn"].startswith("arn:aws:logs:eu-central-1:123456789012:log-group:RDSOSM")
    changed = rds.modify_db_instance(DBInstanceIdentifier="payments", EnablePerformanceInsights=False)["DBInstance"]
    assert changed["PerformanceInsightsEnabled"] is False
    (secret,) = client(account, "secretsmanager").list_secrets()["SecretList"]
    assert (secret["OwningService"], secret["RotationEnabled"]) == ("rds", True)
    assert secret["RotationRules"] == {"AutomaticallyAfterDays": 7}
    assert "RotationLambdaARN" not in secret


def test_events_of_the_database_are_subscribed_to(world: World) -> None:
    subscription = world.make(
        "aws:rds/eventSubscription:EventSubscription",
        "events",
        name="events",
        snsTopic=TOPIC,
        sourceType="db-instance",
        eventCategories=["failure"],
        tags={"a": "b"},
    )
    subscription = world.change(subscription, eventCategories=["failure", "failover"])
    assert world.plan(subscription, name="other") == {"name": True}


def test_a_saved_query_is_told_again_and_changes(world: World, account: str) -> None:
    query = world.make(
        "aws:cloudwatch/queryDefinition:QueryDefinition",
        "errors",
        name="staging/errors",
        queryString="fields @message",
        logGroupNames=["/railyard/web"],
    )
    query = world.change(query, queryString="fields @timestamp, @message")
    (told,) = client(account, "logs").describe_query_definitions()["queryDefinitions"]
    assert told["queryString"] == "fields @timestamp, @message"


def test_what_neither_has_is_still_refused(account: str) -> None:
    with pytest.raises(ClientError):
        client(account, "backup").create_framework(FrameworkName="none", FrameworkControls=[{"ControlName": "x"}])


def test_a_reset_account_has_forgotten_all(account: str) -> None:
    assert client(account, "logs").describe_query_definitions()["queryDefinitions"] == []
    assert client(account, "elasticache").describe_cache_parameter_groups()["CacheParameterGroups"] == []
