"""Settings of a stack in a cloud: the committed ones are complete, and every mistake has its line and its cure."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime.config import set_all_config

from components.service_variables import service_variables
from components.settings import (
    RAIL_NETWORKS,
    SECRET_KEYS,
    Rail,
    Settings,
    SettingsError,
    connection_limit,
    generated_for,
    most_connections,
)
from components.settings.payments import other_network
from components.settings.pool import CLASS_MEMORY_GIB
from payments.settings import Settings as ServiceSettings
from tests.components.places import CHECKOUT

STACKS = ("staging", "prod")


def committed(stack: str) -> dict[str, Any]:
    content = yaml.safe_load((CHECKOUT / f"Pulumi.{stack}.yaml").read_text())
    return dict(content["config"])


def problems_of(stack: str = "staging", **changes: Any) -> dict[str, str]:
    """What is said of the committed settings with changes; a None removes the key."""
    values = {**committed(stack), **{f"railyard:{key}": value for key, value in changes.items()}}
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({key: value for key, value in values.items() if value is not None})
    return {problem.key: str(problem) for problem in caught.value.problems}


class TestCommitted:
    @pytest.mark.parametrize("stack", STACKS)
    def test_a_stack_is_complete(self, stack: str) -> None:
        settings = Settings.from_mapping(committed(stack))
        assert settings.platform == "ecs"
        assert len(settings.zones) == 3
        assert most_connections(settings) < connection_limit(settings.database_instance_class)

    @pytest.mark.parametrize("stack", STACKS)
    def test_no_secret_is_in_it_and_every_one_is_asked_for(self, stack: str) -> None:
        text = (CHECKOUT / f"Pulumi.{stack}.yaml").read_text()
        settings = Settings.from_mapping(committed(stack))
        assert not {key.removeprefix("railyard:") for key in committed(stack)} & SECRET_KEYS
        for value in settings.generated:
            assert f"pulumi config set --secret railyard:{value.key} " in text

    def test_production_is_on_mainnet_and_staging_is_not(self) -> None:
        production, staging = (Settings.from_mapping(committed(stack)) for stack in ("prod", "staging"))
        assert (production.network, production.environment) == ("mainnet", "production")
        assert (staging.network, staging.environment) == ("testnet", "staging")
        assert production.rail_networks["solana"] == "mainnet-beta"
        assert production.nat_gateways == "per-zone"


class TestNetwork:
    def test_one_value_is_mapped_to_every_rail(self) -> None:
        assert {network: names["keys"] for network, names in RAIL_NETWORKS.items()} == {
            "mainnet": "live",
            "testnet": "test",
            "regtest": "test",
        }
        assert len({frozenset(names) for names in RAIL_NETWORKS.values()}) == 1

    @pytest.mark.parametrize(
        ("value", "network", "mixed"),
        [
            ("sk_live_abc", "testnet", True),
            ("sk_live_abc", "mainnet", False),
            ("sk_test_abc", "mainnet", True),
            ("https://api.devnet.solana.com", "mainnet", True),
            ("https://api.mainnet-beta.solana.com", "testnet", True),
            ("https://horizon.stellar.org", "testnet", True),
            ("https://horizon-testnet.stellar.org", "testnet", False),
            ("https://blockstream.info/testnet/api", "testnet", False),
            ("https://blockstream.info/api", "regtest", True),
            ("https://rpc.example.com/?key=1", "mainnet", False),
            ("https://[rpc.example.com", "mainnet", False),
        ],
    )
    def test_a_value_of_another_network_is_noticed(self, value: str, network: str, mixed: bool) -> None:
        assert bool(other_network(value, network)) is mixed

    def test_the_local_platform_has_no_real_network(self) -> None:
        with pytest.raises(SettingsError, match=r"railyard:network is 'mainnet', and the local platform"):
            Settings.from_mapping({"network": "mainnet", "solanaPayTo": committed("prod")["railyard:solanaPayTo"]})

    def test_plain_keys_and_addresses_of_another_network_are_refused(self) -> None:
        said = problems_of(
            rails=["stripe", "stellar"],
            stripePublishableKey="pk_live_abc",
            stellarHorizonUrl="https://horizon.stellar.org",
        )
        assert "is a live key, which moves real money" in said["railyard:stripePublishableKey"]
        assert "is an address of mainnet" in said["railyard:stellarHorizonUrl"]


class TestProblems:
    def test_all_that_is_missing_is_said_at_once(self) -> None:
        with pytest.raises(SettingsError) as caught:
            Settings.from_mapping({"platform": "ecs", "rails": ["lnd", "solana"]})
        assert {problem.key for problem in caught.value.problems} >= {
            "aws:region",
            "railyard:accountId",
            "railyard:owner",
            "railyard:costCenter",
            "railyard:domainName",
            "railyard:hostedZoneName",
            "railyard:dashboardDomainName",
            "railyard:alertEmail",
            "railyard:lndUrl",
            "railyard:lndTlsCertificate",
            "railyard:solanaPayTo",
        }

    def test_wrong_keys_and_wrong_relations_are_said_together(self) -> None:
        said = problems_of(maxTasks="ten", maxPaymentMsat=1000, alertEmail="nobody", vpcCidr="10.0.0.0/8")
        assert set(said) == {
            "railyard:maxTasks",
            "railyard:maxFeeMsat",
            "railyard:alertEmail",
            "railyard:vpcCidr",
        }
        assert "must be a range like 10.40.0.0/16" in said["railyard:vpcCidr"]

    def test_pools_that_the_database_cannot_take(self) -> None:
        said = problems_of("prod", databaseInstanceClass="db.t4g.medium")["railyard:databasePoolSize"]
        assert "up to 720 connections" in said
        assert "(10 web + 2 worker tasks) x 200 %" in said
        assert "db.t4g.medium has 390 for tasks" in said

    def test_a_class_whose_memory_nobody_knows(self) -> None:
        assert (
            "the families are db.m5,"
            in problems_of(databaseInstanceClass="db.t3.micro")["railyard:databaseInstanceClass"]
        )

    def test_a_setting_of_another_platform(self) -> None:
        said = problems_of(ports={"redis": 24000})["railyard:ports"]
        assert "is a setting of platform local, and railyard:platform is 'ecs'" in said

    @pytest.mark.parametrize(
        "arn",
        [
            "arn:aws:iam::999999999999:role/of-another-account",
            "arn:aws:sts::111122223333:assumed-role/railyard-deployer/session",
            "arn:aws:iam::111122223333:role/*",
            "railyard-deployer",
        ],
    )
    def test_administrators_of_secrets_are_exact_principals_of_the_account(self, arn: str) -> None:
        said = problems_of(secretAdministrators=[arn])["railyard:secretAdministrators"]
        assert f"has {arn!r}, which is no ARN of an IAM role or user" in said

    def test_lnd_that_tasks_cannot_reach(self) -> None:
        assert "tasks cannot reach LND" in problems_of(lndCidrs=None)["railyard:lndCidrs"]
        assert "has '10.60.0.0/8'" in problems_of(lndCidrs=["10.60.0.0/8"])["railyard:lndCidrs"]

    def test_names_outside_the_zone(self) -> None:
        said = problems_of(domainName="pay.example.org")
        assert "is no name in the zone staging.example.com" in said["railyard:domainName"]

    def test_zones_that_are_not_three(self) -> None:
        said = problems_of(availabilityZones=["eu-central-1a", "eu-central-1a", "us-east-1c"])
        assert "must be three different zones of eu-central-1" in said["railyard:availabilityZones"]

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("databaseVersion", "16.1"),
            ("databaseVersion", "17.2"),
            ("databaseBackupDays", 6),
            ("databaseStorageGb", 20),
            ("cacheNodeType", "cache.t4g.micro"),
            ("cacheReplicas", 0),
            ("auditRetentionYears", 6),
            ("logRetentionDays", 31),
            ("accountId", "12345"),
            ("network", "mainnet-beta"),
        ],
    )
    def test_what_the_guides_warn_of(self, key: str, value: Any) -> None:
        assert f"railyard:{key}" in problems_of(**{key: value})


class TestPools:
    def test_the_limit_is_below_what_was_reported_for_4_gib(self) -> None:
        assert connection_limit("db.t4g.medium") == 405 < 413
        assert connection_limit("db.r7g.16xlarge") == 5_000
        assert set(CLASS_MEMORY_GIB) >= {"db.t4g.medium", "db.m7g.large"}

    def test_the_standby_counts_as_large_as_the_main_stack(self) -> None:
        settings = Settings.from_mapping(committed("prod"))
        assert most_connections(settings) == ((10 + 2) * 2 + (10 + 2)) * 20


class TestSecrets:
    @pytest.fixture(autouse=True)
    def no_config(self, event_loop_of_its_own: None) -> Any:
        yield
        set_all_config({}, [])

    def configured(self, **changes: str) -> tuple[Settings, Any]:
        issued = generated_for("ecs", (Rail.LND, Rail.SOLANA, Rail.STRIPE))
        plain = {
            **committed("staging"),
            "railyard:rails": ["lnd", "solana", "stripe"],
            "railyard:stripePublishableKey": "pk_test_abc",
        }
        values = {f"railyard:{value.key}": f"planted-{value.key}" for value in issued}
        values |= {f"railyard:{key}": value for key, value in changes.items()}
        lists = {key: json.dumps(value) for key, value in plain.items() if isinstance(value, list)}
        set_all_config({**{key: str(value) for key, value in plain.items()}, **lists, **values}, list(values))
        return Settings.from_pulumi()

    def test_a_rail_brings_its_secrets(self) -> None:
        settings, secrets = self.configured()
        assert settings.rails == (Rail.LND, Rail.SOLANA, Rail.STRIPE)
        assert {"lndPayMacaroon", "solanaFeePayer", "stripeSecretKey", "slackWebhookUrl"} <= set(secrets.names())
        assert "redisPassword" not in secrets

    def test_a_live_key_off_mainnet_is_refused_and_not_shown(self) -> None:
        with pytest.raises(SettingsError) as caught:
            self.configured(stripeSecretKey="sk_live_planted", solanaRpcUrl="https://api.mainnet-beta.solana.com")
        said = str(caught.value)
        assert "railyard:stripeSecretKey is a live key, which moves real money, and railyard:network is" in said
        assert "railyard:solanaRpcUrl is an address of mainnet" in said
        assert "planted" not in said

    def test_what_is_missing_is_asked_for(self) -> None:
        with pytest.raises(SettingsError, match=r"railyard:lndMacaroon .* is missing\. Set it with `pulumi config set"):
            self.configured(lndMacaroon="")

    def test_who_signs_is_the_worker_alone(self) -> None:
        every = {value.key: value.roles for value in generated_for("ecs", tuple(Rail))}
        assert {key for key, roles in every.items() if roles == ("worker",)} == {
            "lndPayMacaroon",
            "solanaFeePayer",
            "tonMasterKey",
            "stellarSigningKey",
        }

    def test_outputs_stay_secret(self) -> None:
        _, secrets = self.configured()
        seen: list[bool] = []

        async def look() -> None:
            seen.append(await secrets["lndMacaroon"].is_secret())

        pulumi.runtime.test(look)()  # type: ignore[no-untyped-call]
        assert seen == [True]


class TestWhatTheServiceIsTold:
    LIMITS = '{"USDC": {"max_payment": 1000000, "max_fee": 0, "daily_payout": 10000000, "hot_wallet_floor": 5}}'

    def test_retries_and_limits_of_assets_reach_it_and_it_takes_them(self) -> None:
        keys = {"railyard:maxRetries": 1, "railyard:assetLimits": self.LIMITS}
        told = service_variables(Settings.from_mapping({**committed("staging"), **keys}))
        assert (told["MAX_RETRIES"], told["ASSET_LIMITS"]) == ("1", self.LIMITS)
        taken = ServiceSettings.model_validate(
            {"max_retries": told["MAX_RETRIES"], "ASSET_LIMITS": told["ASSET_LIMITS"]}
        )
        assert taken.max_retries == 1
        assert taken.asset_limits["USDC"].hot_wallet_floor == 5
        assert "ASSET_LIMITS" not in service_variables(Settings.from_mapping(committed("staging")))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "is no JSON object of objects"),
            ('{"USDC": 5}', "is no JSON object of objects"),
            ('{"USDC": {"max_payment": 1, "max_fee": 0}}', "USDC with daily_payout missing or wrong"),
            (
                '{"USDC": {"max_payment": 1, "max_fee": 0, "daily_payout": 1.5}}',
                "USDC with daily_payout missing or wrong",
            ),
            (
                '{"USDC": {"max_payment": 1, "max_fee": 0, "daily_payout": 1, "fees": 1}}',
                "USDC with fees missing or wrong",
            ),
            ('{"BTC": {"max_payment": 1, "max_fee": 0, "daily_payout": 1}}', "railyard:maxPaymentMsat"),
        ],
    )
    def test_limits_that_cannot_be_used_get_one_sentence(self, text: str, said: str) -> None:
        assert said in problems_of(assetLimits=text)["railyard:assetLimits"]
