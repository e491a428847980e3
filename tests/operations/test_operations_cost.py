"""The month's cost: its quantities are those the program declares, and a change costs what the price table says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from typer.testing import CliRunner

from components.settings import Secrets, Settings
from operations.commandline import app
from operations.cost import estimate as module
from operations.cost.estimate import Line, estimate
from operations.cost.prices import TABLE, price_of, read_prices
from operations.errors import OperationError
from tests.components.aws.declaring import CHECKOUT, TAGS, Declared, declared
from tests.components.kubernetes.test_kubernetes_platform import EXISTING, GIVEN
from tests.components.test_settings_of_clouds import committed

STACKS = ("staging", "prod")


@cache
def whole(stack: str) -> Declared:
    """Everything the program declares for a stack."""
    settings = Settings.from_mapping(committed(stack))

    def program() -> None:
        from components.aws.platform import EcsPlatform, EcsPlatformArgs

        secrets = Secrets({value.key: pulumi.Output.secret("planted") for value in settings.generated})
        args = EcsPlatformArgs(checkout=CHECKOUT, settings=settings, secrets=secrets, tags=TAGS)
        EcsPlatform(f"railyard-{stack}", args)

    return declared(program)


def lines(stack: str, **changes: Any) -> list[Line]:
    values = {**committed(stack), **{f"railyard:{key}": value for key, value in changes.items()}}
    return estimate(Settings.from_mapping(values), read_prices())


def total(found: list[Line]) -> int:
    return sum(line.micro_dollars for line in found)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["cost", *arguments])


@pytest.mark.parametrize("stack", STACKS)
def test_the_quantities_are_those_of_the_program(stack: str) -> None:
    program, said = whole(stack), {line.what for line in lines(stack)}
    gateways = len(program.of("ec2/natGateway:NatGateway"))
    assert f"{gateways} NAT gateways" in said
    interface = [
        it for it in program.of("ec2/vpcEndpoint:VpcEndpoint").values() if it["vpcEndpointType"] == "Interface"
    ]
    assert (len(interface), len(interface[0]["subnetIds"])) == (module.ENDPOINT_SERVICES, module.ZONES)
    secrets = len(program.of("secretsmanager/secret:Secret")) + module.MASTER_SECRET
    assert f"{secrets} secrets" in said
    assert len(program.of("kms/key:Key")) == module.KEYS
    cache_group = program.one("elasticache/replicationGroup:ReplicationGroup")
    assert f"{cache_group['numCacheClusters']:.0f} {cache_group['nodeType']}" in said
    assert len(program.of("cloudwatch/dashboard:Dashboard")) == module.DASHBOARDS
    assert len(program.of("wafv2/webAcl:WebAcl")) == module.FIREWALLS
    assert sum(len(it["rules"]) for it in program.of("wafv2/webAcl:WebAcl").values()) == module.FIREWALL_RULES
    policies = program.of("appautoscaling/policy:Policy")
    # Autoscaling makes two alarms of its own a policy; ten alarms cost a dollar, and are no reason to fail.
    declared_alarms = len(program.of("cloudwatch/metricAlarm:MetricAlarm")) + 2 * len(policies)
    assert abs(declared_alarms - module.ALARMS) <= 10


@pytest.mark.parametrize("given", [{}, GIVEN])
def test_on_kubernetes_the_quantities_are_the_programs_too(given: dict[str, Any]) -> None:
    # A cluster that exists has its nodes already.
    values = {**committed("staging"), "railyard:platform": "kubernetes", **EXISTING, **given}
    settings = Settings.from_mapping({key: value for key, value in values.items() if value is not None})

    def program() -> None:
        from components.kubernetes.platform import KubernetesPlatform, KubernetesPlatformArgs

        secrets = Secrets({value.key: pulumi.Output.secret("planted") for value in settings.generated})
        args = KubernetesPlatformArgs(checkout=CHECKOUT, stack="staging", settings=settings, secrets=secrets, tags=TAGS)
        KubernetesPlatform("railyard-staging", args)

    made = declared(program)
    said = {line.what for line in estimate(settings, read_prices())}
    assert f"{len(made.of('cloudwatch/metricAlarm:MetricAlarm'))} alarms" in said
    secrets = (
        len(made.of("secretsmanager/secret:Secret")) + len(made.of("rds/instance:Instance")) * module.MASTER_SECRET
    )
    assert f"{secrets} secrets" in said
    assert ("given, and paid by whoever runs it" in said) is bool(given)
    assert not made.of("wafv2/webAcl:WebAcl")
    assert not made.of("cloudwatch/dashboard:Dashboard")
    assert not [what for what in said if "firewall" in what or "dashboard" in what or "hosted zone" in what]
    assert not [what for what in said if "nodes" in what]


def test_a_change_costs_what_the_table_says() -> None:
    prices = read_prices()
    node = prices.cache_nodes["cache.t4g.medium"] * prices.hours * prices.multiple("eu-central-1") // 1000
    assert total(lines("prod", cacheReplicas=3)) - total(lines("prod")) == node
    assert total(lines("prod", natGateways="single")) < total(lines("prod"))


def test_the_guides_sizes_cost_what_a_person_computes() -> None:
    """Three tasks of 2 vCPU and 4 GB in us-east-1: 3 x 730 x (2 x 0.04048 + 4 x 0.004445) dollars."""
    web = next(line for line in lines("prod", **{}) if line.what.startswith("3 web tasks"))
    by_hand = 3 * 730 * (2 * 40_480 + 4 * 4_445) * 1_180 // 1_000
    assert abs(web.micro_dollars - by_hand) <= 1


def test_both_stacks_stay_in_their_budget() -> None:
    for stack in STACKS:
        assert total(lines(stack)) < Settings.from_mapping(committed(stack)).monthly_budget_usd * 1_000_000


def test_an_unknown_region_is_taken_for_the_dearest() -> None:
    prices = read_prices()
    assert prices.multiple("me-central-1") == max(prices.regions.values())


def test_the_table_is_dated_and_names_its_source() -> None:
    content = yaml.safe_load(TABLE.read_text())
    assert content["recorded"] == "2026-11-25"
    assert "https://aws.amazon.com/" in content["source"]


def test_a_class_without_a_price_is_refused() -> None:
    with pytest.raises(OperationError, match=r"is db\.r8g\.16xlarge, which has no price .* use one of db\.m6g"):
        price_of(read_prices().database_classes, "db.r8g.16xlarge", "railyard:databaseInstanceClass")


class TestCommand:
    def test_it_shows_components_the_sum_and_what_a_change_adds(self) -> None:
        done = run("prod", "--set", "cacheReplicas=3")
        assert done.exit_code == 0, done.output
        for word in ("network", "database", "cache", "service", "front", "safety", "watching", "a month"):
            assert f"\n{word} " in f"\n{done.output}"
        assert "cacheReplicas=3 adds 56.00 USD a month." in done.output
        assert "as recorded on 2026-11-25" in done.output

    def test_programs_get_whole_micro_dollars(self) -> None:
        found = json.loads(run("staging", "--json").output)
        assert found["monthlyMicroDollars"] == sum(found["components"].values())
        assert found["addedMicroDollars"] == 0

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("nope",), "there is no Pulumi.nope.yaml"),
            (("staging", "--set", "cacheReplicas"), "is no KEY=VALUE"),
            (("staging", "--set", "cacheReplicas=many"), "must be a whole number"),
            (("staging", "--set", "minTasks=9"), "more than railyard:maxTasks"),
        ],
    )
    def test_bad_input_gets_a_sentence(self, arguments: tuple[str, ...], said: str) -> None:
        done = run(*arguments)
        assert isinstance(done.exception, OperationError)
        assert said in str(done.exception)

    def test_it_needs_no_pulumi(self, tmp_path: Path) -> None:
        import subprocess
        import sys

        code = (
            "import sys; from operations.commands.cost import cost; cost('prod'); "
            "assert 'pulumi' not in sys.modules and 'boto3' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True, capture_output=True)
