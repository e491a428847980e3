"""The whole platform from the settings: on EKS of its own, and in a cluster that exists."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime.mocks import MockResourceArgs, set_mocks

from components.arguments import ArgumentError
from components.kubernetes.platform import KubernetesPlatform, KubernetesPlatformArgs, remotes
from components.kubernetes.secrets import WALLET_VARIABLES
from components.settings import Secrets, Settings, SettingsError
from components.settings.secrets import ISSUED_BY_RAIL
from tests.components.aws.declaring import CHECKOUT, TAGS
from tests.components.aws.declaring import Declared as DeclaredInAws
from tests.components.kubernetes.declaring import COMPUTED, Declared, declared
from tests.components.kubernetes.properties import NAMES, failing

EXISTING: dict[str, Any] = {
    "railyard:kubernetesContext": "payments",
    "railyard:kubernetesNodeGroupId": "sg-0123456789abcdef0",
    "railyard:kubernetesSecretRoleArn": "arn:aws:iam::111122223333:role/payments-secrets",
    "railyard:kubernetesWorkerRoleArn": "arn:aws:iam::111122223333:role/payments-worker",
    "railyard:kubernetesAuditorRoleArn": "arn:aws:iam::111122223333:role/payments-auditor",
}
GIVEN_DATABASE: dict[str, Any] = {
    "railyard:database": "given",
    "railyard:databaseCidrs": ["10.70.1.5/32", "10.70.2.5/32"],
    "railyard:databasePort": 6432,
    "railyard:databaseMaxConnections": 500,
    "railyard:databaseInstanceClass": None,
}
GIVEN_CACHE: dict[str, Any] = {
    "railyard:cache": "given",
    "railyard:cacheCidrs": ["10.70.3.0/24"],
    "railyard:cachePort": 6380,
}
GIVEN = {**GIVEN_DATABASE, **GIVEN_CACHE}
# Sizes are the stack's own: staging's are smaller than the guides'.
OF_SIZE = {"guides_size", "three_replicas", "scales_as_in_the_guides"}


def _config(**changes: Any) -> dict[str, Any]:
    """Plain settings: those of staging, on Kubernetes, with changes; a None removes the key."""
    text = (CHECKOUT / "Pulumi.staging.yaml").read_text(encoding="utf-8")
    plain = {key: value for key, value in yaml.safe_load(text)["config"].items() if not isinstance(value, dict)}
    values = {**plain, "railyard:platform": "kubernetes", **changes}
    return {key: value for key, value in values.items() if value is not None}


class _Both(DeclaredInAws):
    """Keeps what is declared in AWS and in the cluster."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        made, outputs = super().new_resource(args)
        return made, {**outputs, **(COMPUTED.get(args.typ, {}) if self.knows else {})}


def declared_platform(*, knows: bool = True, **changes: Any) -> _Both:
    settings = Settings.from_mapping(_config(**changes))
    # The SDK asks for the thread's event loop, and tests of coroutines that ran before leave none behind.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    kept = _Both(knows)
    set_mocks(kept, project="railyard", stack="staging", preview=not knows)

    def program() -> None:
        secrets = Secrets({it.key: pulumi.Output.secret(f"issued-{it.key}") for it in settings.generated if it.secret})
        arguments = KubernetesPlatformArgs(
            checkout=CHECKOUT, stack="staging", settings=settings, secrets=secrets, tags=TAGS
        )
        KubernetesPlatform("railyard-staging", arguments)

    run: Callable[[], None] = pulumi.runtime.test(program)  # type: ignore[no-untyped-call]
    try:
        run()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return kept


def in_cluster(kept: DeclaredInAws) -> Declared:
    objects = [inputs for (kind, _), inputs in kept.resources.items() if kind.startswith("kubernetes:")]
    return Declared(objects=objects)


@pytest.fixture(scope="module")
def whole() -> _Both:
    return declared_platform()


def test_the_application_is_as_safe_as_by_itself(whole: _Both) -> None:
    broken = set(failing(in_cluster(whole)))
    # The network is the stack's, not the one that the application's own test gives.
    assert broken - OF_SIZE <= {"egress_named"}
    assert set(NAMES) > broken


def test_pods_reach_the_stacks_own_data_subnets_and_lnd_alone(whole: _Both) -> None:
    found = {
        port["port"]: {peer["ipBlock"]["cidr"] for peer in rule["to"] if "ipBlock" in peer}
        for rule in in_cluster(whole).one("NetworkPolicy", "worker")["spec"]["egress"]
        for port in rule["ports"]
    }
    subnets = {f"10.40.{third}.0/24" for third in (128, 129, 130)}
    assert found == {53: set(), 5432: subnets, 6379: subnets, 443: {"0.0.0.0/0"}, 8080: {"10.60.0.10/32"}}
    data = {inputs["cidrBlock"] for name, inputs in whole.of("ec2/subnet:Subnet").items() if "-data-" in name}
    assert data == subnets


def test_database_and_cache_let_the_nodes_in_on_their_ports_alone(whole: _Both) -> None:
    rules = whole.of("vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    nodes = {name: it for name, it in rules.items() if "-nodes-" in name}
    assert {it["fromPort"] for it in nodes.values()} == {5432, 6379}
    assert {it["referencedSecurityGroupId"] for it in nodes.values()} == {"sg-1"}
    assert not [it for it in rules.values() if it.get("cidrIpv4") == "0.0.0.0/0" and it["fromPort"] != 443]


def test_every_secret_of_the_service_is_named_by_arn_and_key(whole: _Both) -> None:
    for name, it in in_cluster(whole).of("ExternalSecret").items():
        for entry in it["spec"]["data"]:
            assert entry["remoteRef"]["key"].startswith("arn:aws:secretsmanager:"), (name, entry)
            assert entry["remoteRef"]["property"] in {"url", "value", "current", "previous", "version"}, (name, entry)


def test_the_operators_role_reads_this_stacks_secrets_alone(whole: _Both) -> None:
    policy = json.loads(
        whole.resources["aws:iam/rolePolicy:RolePolicy", "railyard-staging-secret-role-policy"]["policy"]
    )
    used, decrypted = policy["Statement"]
    assert set(used["Action"]) == {"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}
    assert all(arn.startswith("arn:aws:secretsmanager:") and "*" not in arn for arn in used["Resource"])
    assert decrypted["Action"] == ["kms:Decrypt"]
    account = in_cluster(whole).one("ServiceAccount", "payments-secrets")
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]


def _role(whole: _Both, name: str) -> list[dict[str, Any]]:
    policy = whole.resources["aws:iam/rolePolicy:RolePolicy", f"railyard-staging-{name}-policy"]["policy"]
    return list(json.loads(policy)["Statement"])


def test_the_worker_adds_to_the_archive_and_the_auditor_reads_it(whole: _Both) -> None:
    adds, encrypts, *_backups = _role(whole, "worker-role")
    assert adds["Action"] == ["s3:PutObject"]
    assert [arn.rpartition("/")[2] for arn in adds["Resource"]] == ["*"]
    assert encrypts["Action"] == ["kms:GenerateDataKey"]
    reads, decrypts = _role(whole, "auditor-role")
    assert set(reads["Action"]) == {"s3:ListBucket", "s3:GetObject", "s3:GetObjectRetention"}
    assert decrypts["Action"] == ["kms:Decrypt"]
    inside = in_cluster(whole)
    for account in ("payments-worker", "payments-auditor"):
        assert "eks.amazonaws.com/role-arn" in inside.one("ServiceAccount", account)["metadata"]["annotations"]
    stores = {
        name: [entry["value"] for entry in pod["containers"][0]["env"] if entry["name"] == "AUDIT_ARCHIVE_STORE"]
        for name, pod in inside.pods().items()
    }
    assert {name.rpartition(" ")[2] for name, store in stores.items() if store} == {
        "402pay-worker",
        "402pay-maintenance-audit-archive-verify",
    }
    assert all(store[0].startswith("s3://") for store in stores.values() if store)


def test_the_worker_keeps_the_channel_backups(whole: _Both) -> None:
    lists, keeps, uses = _role(whole, "worker-role")[2:]
    assert lists["Action"] == ["s3:ListBucket"]
    assert set(keeps["Action"]) == {"s3:PutObject", "s3:GetObject", "s3:DeleteObject"}
    assert set(uses["Action"]) == {"kms:GenerateDataKey", "kms:Decrypt"}
    stores = {
        name.rpartition(" ")[2]: entry["value"]
        for name, pod in in_cluster(whole).pods().items()
        for entry in pod["containers"][0]["env"]
        if entry["name"] == "LND_BACKUP_STORE"
    }
    (store,) = stores.values()
    assert list(stores) == ["402pay-worker"]
    assert keeps["Resource"] == [f"arn:aws:s3:::{store.removeprefix('s3://')}/*"]


def test_database_cache_and_backups_have_their_alarms(whole: _Both) -> None:
    alarms = whole.of("cloudwatch/metricAlarm:MetricAlarm")
    rows = {name.removeprefix("railyard-staging-") for name in alarms}
    assert {"database-cpu", "database-connections", "database-memory", "cache-cpu", "cache-memory", "database-disk-20",
            "database-disk-10", "backup-failed", "restore-test-failed"} <= rows  # fmt: skip
    watched = {alarm["namespace"] for alarm in alarms.values()}
    assert {"AWS/RDS", "AWS/ElastiCache", "AWS/Backup"} <= watched
    assert "AWS/ECS" not in watched
    assert all(alarm["alarmActions"] and alarm.get("actionsEnabled", True) for alarm in alarms.values())


def test_no_value_of_a_secret_is_in_an_object_of_the_cluster(whole: _Both) -> None:
    text = json.dumps(in_cluster(whole).objects)
    assert "issued-" not in text
    assert "planted-token" not in text


def test_a_first_plan_runs_with_unknowns_and_declares_the_same(whole: _Both) -> None:
    assert set(declared_platform(knows=False).resources) == set(whole.resources)


def test_an_existing_cluster_is_used_as_it_is() -> None:
    kept = declared_platform(**EXISTING)
    assert not [name for kind, name in kept.resources if kind.startswith("aws:eks/")]
    provider = kept.resources["pulumi:providers:kubernetes", "railyard-staging-kubernetes"]
    assert provider["context"] == "payments"
    rules = kept.of("vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert {it["referencedSecurityGroupId"] for name, it in rules.items() if "-nodes-" in name} == {
        EXISTING["railyard:kubernetesNodeGroupId"]
    }


def test_an_existing_cluster_is_found_by_the_path_of_a_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "payments.kubeconfig"
    path.write_text("{}", encoding="utf-8")
    by_path: dict[str, Any] = {**EXISTING, "railyard:kubernetesKubeconfig": "~/payments.kubeconfig"}
    del by_path["railyard:kubernetesContext"]
    kept = declared_platform(**by_path)
    assert not [name for kind, name in kept.resources if kind.startswith("aws:eks/")]
    provider = kept.resources["pulumi:providers:kubernetes", "railyard-staging-kubernetes"]
    assert provider["kubeconfig"] == str(path)
    assert "context" not in provider


def test_a_kubeconfig_that_is_not_there_is_said_before_anything_is_planned() -> None:
    settings = Settings.from_mapping(_config(**EXISTING, **{"railyard:kubernetesKubeconfig": "/nowhere/kubeconfig"}))
    with pytest.raises(ArgumentError, match="kubernetesKubeconfig '/nowhere/kubeconfig', and there is no such"):
        KubernetesPlatformArgs(checkout=CHECKOUT, stack="staging", settings=settings, secrets=Secrets({}), tags=TAGS)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"railyard:kubernetesContext": "payments"}, "railyard:kubernetesNodeGroupId is missing"),
        (
            {"railyard:kubernetesSecretRoleArn": EXISTING["railyard:kubernetesSecretRoleArn"]},
            "neither railyard:kubernetesContext names one nor a kubeconfig",
        ),
        (
            {"railyard:kubernetesKubeconfig": "/etc/payments/kubeconfig"},
            "railyard:kubernetesWorkerRoleArn is missing, and railyard:kubernetesKubeconfig names a cluster",
        ),
        ({"railyard:kubernetesKubeconfig": "kubeconfig"}, "must be a path from / or ~/"),
        ({"railyard:minTasks": 1}, "must be at least 2"),
        ({"railyard:minNodes": 8, "railyard:maxNodes": 4}, "railyard:minNodes is 8"),
        ({"railyard:kubernetesVersion": "1.20"}, "railyard:kubernetesVersion"),
        ({"railyard:gatewayNamespace": "Envoy"}, "railyard:gatewayNamespace"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_mapping(_config(**changes))


def test_every_secret_that_signs_is_known_as_one() -> None:
    issued = [value for values in ISSUED_BY_RAIL.values() for value in values]
    assert {value.variable for value in issued if value.roles == ("worker",)} <= WALLET_VARIABLES


def test_a_reference_is_taken_apart() -> None:
    taken: list[tuple[Any, Any]] = []

    def program() -> None:
        remote = remotes({"A": pulumi.Output.from_input("arn:aws:secretsmanager:r:1:secret:x/y-Ab:url::")})["A"]
        pulumi.Output.all(remote.key, remote.property).apply(lambda known: taken.append(tuple(known)))

    declared(program)
    assert taken == [("arn:aws:secretsmanager:r:1:secret:x/y-Ab", "url")]
