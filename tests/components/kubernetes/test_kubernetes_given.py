"""A stack on Kubernetes whose database, cache or both are given by URL: what is left out, and where pods go instead."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from components.arguments import ArgumentError
from components.aws.secrets import CacheToken, StackSecretsArgs
from components.settings import generated_for
from tests.components.aws.declaring import TAGS, Declared
from tests.components.kubernetes.test_kubernetes_platform import (
    EXISTING,
    GIVEN,
    GIVEN_CACHE,
    GIVEN_DATABASE,
    declared_platform,
    in_cluster,
)

CASES: dict[str, dict[str, Any]] = {"database": GIVEN_DATABASE, "cache": GIVEN_CACHE, "both": GIVEN}
SUBNETS = {f"10.40.{third}.0/24" for third in (128, 129, 130)}
PLACES: dict[str, dict[int, set[str]]] = {
    "database": {6432: {"10.70.1.5/32", "10.70.2.5/32"}, 6379: SUBNETS},
    "cache": {5432: SUBNETS, 6380: {"10.70.3.0/24"}},
    "both": {6432: {"10.70.1.5/32", "10.70.2.5/32"}, 6380: {"10.70.3.0/24"}},
}
# Words in the names and types of what a part of the stack's own brings with it.
OF_OWN = {
    "database": (
        "aws:rds/",
        "aws:backup/",
        "-database",
        "database-",
        "-guard-master",
        "-staging-backup",
        "-restore-test-failed",
    ),
    "cache": ("aws:elasticache/", "-cache", "cache-", "redis-token", "railyard-staging-redis", "-guard-redis"),
}
OF_GIVEN = ("-database-url", "-database-owner-url", "-redis-url")


@cache
def whole(case: str = "") -> Declared:
    return declared_platform(**CASES.get(case, {}))


def _belonging_to(kept: Declared, part: str) -> set[tuple[str, str]]:
    return {
        (kind, name)
        for kind, name in kept.resources
        if any(word in kind or word in name for word in OF_OWN[part]) and not name.endswith(OF_GIVEN)
    }


def _out(kept: Declared, policy: str) -> dict[int, set[str]]:
    rules = in_cluster(kept).one("NetworkPolicy", policy)["spec"]["egress"]
    return {
        port["port"]: {peer["ipBlock"]["cidr"] for peer in rule["to"] if "ipBlock" in peer}
        for rule in rules
        for port in rule["ports"]
    }


@pytest.mark.parametrize("case", CASES)
def test_nothing_of_a_given_part_is_declared_and_the_rest_is_as_it_was(case: str) -> None:
    gone = _belonging_to(whole(), "database") if case != "cache" else set()
    gone |= _belonging_to(whole(), "cache") if case != "database" else set()
    assert len(gone) > 15
    if case == "both":
        gone.add(("railyard:aws:DataAlarms", "railyard-staging"))
    urls = {suffix for suffix in OF_GIVEN if case == "both" or suffix.startswith("-redis") == (case == "cache")}
    new = {key for key in whole(case).resources if key[1].endswith(tuple(urls))}
    assert set(whole(case).resources) == set(whole().resources) - gone | new
    kinds = {kind for kind, _ in whole(case).resources}
    assert any(kind.startswith("aws:rds/") for kind in kinds) is (case == "cache")
    assert any(kind.startswith("aws:elasticache/") for kind in kinds) is (case == "database")


@pytest.mark.parametrize("case", CASES)
def test_a_first_plan_runs_with_unknowns_and_declares_the_same(case: str) -> None:
    assert set(declared_platform(knows=False, **CASES[case]).resources) == set(whole(case).resources)


@pytest.mark.parametrize("case", CASES)
def test_pods_reach_the_given_addresses_and_no_others(case: str) -> None:
    elsewhere = {53: set(), 443: {"0.0.0.0/0"}, 8080: {"10.60.0.10/32"}}
    (port,) = (port for port in PLACES[case] if port in (5432, 6432))
    database = {port: PLACES[case][port]}
    for role in ("web", "worker"):
        assert _out(whole(case), role) == {**PLACES[case], **elsewhere}
    for role in ("migration", "maintenance"):
        assert _out(whole(case), role) == {**database, 53: set()}
    assert _out(whole(case), "archive") == {**database, 53: set(), 443: {"0.0.0.0/0"}}


@pytest.mark.parametrize("case", CASES)
def test_pods_get_the_given_urls_under_the_names_of_our_own(case: str) -> None:
    ours = {"DATABASE_URL": "database-app", "DATABASE_OWNER_URL": "database-owner", "REDIS_URL": "redis"}
    theirs = {"DATABASE_URL": "database-url", "DATABASE_OWNER_URL": "database-owner-url", "REDIS_URL": "redis-url"}
    inside, own = in_cluster(whole(case)), in_cluster(whole())
    for secret in ("402pay-secrets", "402pay-worker-secrets", "402pay-migration-secrets"):
        entries = {it["secretKey"]: it["remoteRef"] for it in inside.one("ExternalSecret", secret)["spec"]["data"]}
        assert set(entries) == {it["secretKey"] for it in own.one("ExternalSecret", secret)["spec"]["data"]}
        for variable in entries.keys() & ours.keys():
            is_given = case in ("both", "cache" if variable == "REDIS_URL" else "database")
            name, key = (theirs[variable], "value") if is_given else (ours[variable], "url")
            assert entries[variable]["key"].endswith(f":railyard-staging-{name}"), (secret, variable)
            assert entries[variable]["property"] == key


def test_a_given_url_is_in_its_secrets_version_alone_and_rotated_as_what_others_issue() -> None:
    kept = whole("both")
    versions = {name: it for (kind, name), it in kept.raw.items() if kind.endswith(":SecretVersion")}
    for key, config in (
        ("database-url", "databaseUrl"),
        ("database-owner-url", "databaseOwnerUrl"),
        ("redis-url", "redisUrl"),
    ):
        assert f"issued-{config}" in json.dumps(versions[f"railyard-staging-{key}"])
        elsewhere = [it for name, it in kept.raw.items() if name[1] != f"railyard-staging-{key}"]
        assert f"issued-{config}" not in json.dumps(elsewhere, default=str)
    functions = {
        name: it["rotationLambdaArn"]
        for name, it in kept.of("secretsmanager/secretRotation:SecretRotation").items()
        if name.endswith(OF_GIVEN)
    }
    assert len(functions) == 3
    assert all("issued" in arn for arn in functions.values())
    assert len(kept.of("secretsmanager/secretPolicy:SecretPolicy")) == len(kept.of("secretsmanager/secret:Secret"))


def test_an_existing_cluster_needs_no_group_of_nodes_when_both_are_given() -> None:
    kept = declared_platform(**GIVEN, **{**EXISTING, "railyard:kubernetesNodeGroupId": None})
    assert not [name for kind, name in kept.resources if "-nodes-" in name and "IngressRule" in kind]


def test_secrets_take_a_part_of_the_stacks_own_or_its_urls_and_not_both_or_neither() -> None:
    issued = generated_for("kubernetes", (), {"database": 5432})
    common: dict[str, Any] = {
        **dict.fromkeys(("account_id", "region", "secret_key_arn", "data_key_arn", "log_key_arn"), "x"),
        "issued_values": {value.key: "x" for value in issued},
        "function_subnet_ids": [],
        "function_security_group_id": "sg-1",
        "tags": TAGS,
    }
    token = CacheToken(address="x", port=6379, replication_group_id="x", first="x")
    StackSecretsArgs(**common, issued=issued, database=None, cache=token)
    with pytest.raises(ArgumentError, match="cache is both the stack's own and given, or neither"):
        StackSecretsArgs(**common, issued=issued, database=None, cache=None)
    with pytest.raises(ArgumentError, match="database is both the stack's own and given, or neither"):
        StackSecretsArgs(**common, issued=generated_for("kubernetes"), database=None, cache=token)
