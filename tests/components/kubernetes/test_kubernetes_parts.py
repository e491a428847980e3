"""Parts by themselves: what each refuses, and what each makes of its arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from components.arguments import ArgumentError
from components.kubernetes.cluster import Cluster, ClusterArgs, kubeconfig
from components.kubernetes.maintenance import MaintenanceArgs, Runs
from components.kubernetes.network_policy import Destination
from components.kubernetes.pods import PodArgs, Resources, pod_spec
from components.kubernetes.roles import AccountRole, AccountRoleArgs, trust_policy
from components.kubernetes.secrets import Composed, Remote, Secrets, SecretsArgs
from tests.components.kubernetes.declaring import IMAGE, declared

REMOTE = Remote(key="arn:aws:secretsmanager:eu-central-1:1:secret:a")
SECRETS: dict[str, Any] = {
    "namespace": "payments",
    "service_account": "payments-secrets",
    "region": "eu-central-1",
    "web": {"DATABASE_URL": REMOTE},
    "worker": {"DATABASE_URL": REMOTE, "TON_MASTER_KEY": REMOTE},
    "migration": {"DATABASE_OWNER_URL": REMOTE},
}
CLUSTER: dict[str, Any] = {
    "cluster_name": "payments-staging",
    "region": "eu-central-1",
    "subnet_ids": ("subnet-a", "subnet-b", "subnet-c"),
    "key_arn": "arn:aws:kms:eu-central-1:123456789012:key/1",
}
ROLE: dict[str, Any] = {
    "namespace": "payments",
    "service_account": "payments-secrets",
    "oidc_arn": "arn:aws:iam::1:oidc-provider/oidc.example/id/A",
    "issuer": "oidc.example/id/A",
    "actions": ("secretsmanager:GetSecretValue",),
    "resource_arns": ("arn:aws:secretsmanager:eu-central-1:1:secret:payments-*",),
}
WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: SecretsArgs(**{**SECRETS, "web": SECRETS["worker"]}), "SecretsArgs.web has TON_MASTER_KEY"),
    (lambda: SecretsArgs(**{**SECRETS, "worker": SECRETS["migration"]}), "SecretsArgs.worker has DATABASE_OWNER_URL"),
    (lambda: SecretsArgs(**SECRETS, refresh_minutes=120), "SecretsArgs.refresh_minutes is 120"),
    (lambda: Composed(template="x", parts={}), "Composed.parts is empty"),
    (lambda: Destination(cidrs=(), port=5432), "Destination.cidrs is empty"),
    (lambda: Destination(cidrs=("0.0.0.0/0",), port=5432), "the whole world"),
    (lambda: Destination(cidrs=("10.0.0.1/8",), port=5432), "Destination.cidrs has '10.0.0.1/8'"),
    (lambda: Destination(cidrs=("10.0.0.0/8",), port=0), "Destination.port is 0"),
    (lambda: Resources(cpu_millicores=10), "Resources.cpu_millicores is 10"),
    (lambda: Resources(requested_cpu_millicores=3000), "more than the limit of 2000"),
    (
        lambda: MaintenanceArgs(namespace="n", image=IMAGE, logins={"app": Runs(service_account="a", secret="s")}),
        "MaintenanceArgs.logins lacks 'owner', which optimise needs",
    ),
    (lambda: ClusterArgs(**{**CLUSTER, "cluster_name": "402pay"}), "ClusterArgs.cluster_name is '402pay'"),
    (lambda: ClusterArgs(**{**CLUSTER, "subnet_ids": ("subnet-a",)}), "ClusterArgs.subnet_ids has 1"),
    (lambda: ClusterArgs(**CLUSTER, version="1.29"), "ClusterArgs.version is '1.29'"),
    (lambda: ClusterArgs(**CLUSTER, minimum_nodes=1), "ClusterArgs.minimum_nodes is 1"),
    (lambda: AccountRoleArgs(**{**ROLE, "actions": ("secretsmanager:*",)}), "AccountRoleArgs.actions has"),
    (lambda: AccountRoleArgs(**{**ROLE, "resource_arns": ("*",)}), "AccountRoleArgs.resource_arns has '*'"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "sentence"), WRONG)
def test_a_wrong_argument_is_named(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        make()
    assert sentence in str(refused.value)


def test_a_composed_secret_is_put_together_in_the_cluster_and_never_in_the_plan() -> None:
    url = Composed(
        template="postgresql://app:{{ .password }}@db:5432/payments",
        parts={"password": Remote(key="app", property="password")},
    )
    found = declared(
        lambda: Secrets("s", SecretsArgs(**{**SECRETS, "web": {"DATABASE_URL": url, "JWT_SECRET": REMOTE}}))
    )
    spec = found.one("ExternalSecret", "402pay-secrets")["spec"]
    assert spec["target"]["template"]["data"] == {
        "DATABASE_URL": "postgresql://app:{{ .password }}@db:5432/payments",
        "JWT_SECRET": '{{ index . "JWT_SECRET" }}',
    }
    assert {entry["secretKey"]: entry["remoteRef"]["key"] for entry in spec["data"]} == {
        "password": "app",
        "JWT_SECRET": REMOTE.key,
    }
    assert spec["target"]["deletionPolicy"] == "Retain"


def test_a_pod_that_ends_has_no_probes_and_is_not_started_again() -> None:
    pod = pod_spec(
        PodArgs(app="a", container="c", image=IMAGE, command=("migrate",), service_account="s", always=False)
    )
    assert pod["restartPolicy"] == "Never"
    assert not {"livenessProbe", "readinessProbe", "lifecycle"} & set(pod["containers"][0])


def test_the_cluster_is_private_encrypted_logged_and_kept() -> None:
    found = declared(lambda: Cluster("c", ClusterArgs(**CLUSTER, administrator_arns=("arn:aws:iam::1:role/admin",))))
    kinds = {kind: inputs for kind, _, inputs in found.others}
    assert "aws:eks/accessPolicyAssociation:AccessPolicyAssociation" in kinds
    cluster, nodes = kinds["aws:eks/cluster:Cluster"], kinds["aws:eks/nodeGroup:NodeGroup"]
    assert cluster["vpcConfig"]["endpointPrivateAccess"] is True
    assert cluster["vpcConfig"]["endpointPublicAccess"] is False
    assert cluster["encryptionConfig"] == {"provider": {"keyArn": CLUSTER["key_arn"]}, "resources": ["secrets"]}
    assert len(cluster["enabledClusterLogTypes"]) == 5
    assert cluster["deletionProtection"] is True
    assert cluster["accessConfig"]["authenticationMode"] == "API"
    logs = kinds["aws:cloudwatch/logGroup:LogGroup"]
    assert (logs["name"], logs["retentionInDays"]) == ("/aws/eks/payments-staging/cluster", 90)
    template = kinds["aws:ec2/launchTemplate:LaunchTemplate"]
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1
    assert template["blockDeviceMappings"][0]["ebs"]["encrypted"] == "true"
    assert nodes["amiType"] == "BOTTLEROCKET_x86_64"
    assert nodes["scalingConfig"]["minSize"] == 3
    addons = {inputs["addonName"]: inputs for kind, _, inputs in found.others if kind == "aws:eks/addon:Addon"}
    assert json.loads(addons["vpc-cni"]["configurationValues"])["enableNetworkPolicy"] == "true"


def test_the_clusters_kubeconfig_holds_no_credential() -> None:
    found = json.loads(kubeconfig("payments-staging", "https://example.eks.amazonaws.com", "QUJD", "eu-central-1"))
    assert set(found["users"][0]["user"]) == {"exec"}
    assert found["users"][0]["user"]["exec"]["args"][-4:] == [
        "--cluster-name", "payments-staging", "--region", "eu-central-1"
    ]  # fmt: skip


def test_a_role_trusts_one_account_of_one_cluster_alone() -> None:
    policy = trust_policy("payments-secrets", "payments", ROLE["oidc_arn"], ROLE["issuer"])
    statement = policy["Statement"][0]
    assert statement["Condition"] == {
        "StringEquals": {
            "oidc.example/id/A:aud": "sts.amazonaws.com",
            "oidc.example/id/A:sub": "system:serviceaccount:payments:payments-secrets",
        }
    }
    found = declared(lambda: AccountRole("r", AccountRoleArgs(**ROLE)))
    role = {kind: inputs for kind, _, inputs in found.others}["aws:iam/role:Role"]
    assert json.loads(role["assumeRolePolicy"]) == policy
