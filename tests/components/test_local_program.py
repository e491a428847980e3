"""The whole program under mocks, with every value known and with every value that only an update can know unknown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown
from solders.keypair import Keypair

from components.local import runtime
from components.local.platform import LocalPlatform, LocalPlatformArgs
from components.settings import GENERATED, Generated, SecretKind, Secrets, Settings
from tests.components.places import CHECKOUT

STATE = Path("/state folder")
# What providers add to a resource's inputs when they make it.
MADE: dict[str, dict[str, Any]] = {
    "dynamic/railyard:Port": {"port": 24000.0},
    "dynamic/railyard:Supervisor": {"incarnation": "first"},
    "dynamic/railyard:PostgresCluster": {"data": "/data", "programs": "/pg/bin", "identifier": "77"},
    "dynamic/railyard:Migration": {"revision": "0001"},
}


class Recorder(pulumi.runtime.Mocks):
    """Keeps what is registered. With `knows` false it answers as an engine does in a preview: no new outputs."""

    def __init__(self, knows: bool) -> None:
        self.knows = knows
        self.resources: dict[str, pulumi.runtime.MockResourceArgs] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources[f"{args.typ.removeprefix('pulumi-python:dynamic/railyard:')}::{args.name}"] = args
        added = MADE.get(args.typ.removeprefix("pulumi-python:"), {}) if self.knows else {}
        return f"{args.name}-id", {**args.inputs, **added}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls {args.token}: planning must not ask anybody")

    def inputs(self, key: str) -> dict[str, Any]:
        return dict(self.resources[key].inputs)


# What the program registered, its outputs, and the secrets it was given.
Run = tuple[Recorder, dict[str, Any], dict[str, str]]


def awaited(declare: Callable[[], object]) -> None:
    """Run a piece of a program and wait for every output in it."""
    pulumi.runtime.test(declare)()  # type: ignore[no-untyped-call]


def _planted(value: Generated) -> str:
    if value.key == "onchainSeed":  # a key is made from it, so it has to be one
        return hashlib.sha256(b"planted").hexdigest()
    return str(Keypair()) if value.kind is SecretKind.SOLANA_KEYPAIR else f"planted-{value.key}"


def secret_values() -> dict[str, str]:
    return {value.key: _planted(value) for value in GENERATED if value.secret}


@pytest.fixture
def program(
    monkeypatch: pytest.MonkeyPatch, event_loop_of_its_own: None
) -> Iterator[Callable[[bool], tuple[Recorder, dict[str, Any], dict[str, str]]]]:
    """Runs the program; returns what it registered, its outputs and the secrets it was given."""

    def run(knows: bool) -> Run:
        recorder, values = Recorder(knows), secret_values()
        pulumi.runtime.set_mocks(recorder, project="railyard", stack="local", preview=not knows)
        settings = Settings.from_mapping({"solanaPayTo": str(Keypair().pubkey())})
        outputs: dict[str, Any] = {}

        def declare() -> None:
            secrets = Secrets({key: pulumi.Output.secret(value) for key, value in values.items()})
            platform = LocalPlatform("local", LocalPlatformArgs(CHECKOUT, STATE, settings, secrets))
            outputs.update(platform.outputs)

        awaited(declare)
        return recorder, outputs, values

    yield run
    pulumi.runtime.set_mocks(Recorder(True))


def unwrapped(value: Any) -> Any:
    """A value as the engine sees it, without the marks of secrets."""
    if isinstance(value, dict):
        return (
            unwrapped(value["value"])
            if "value" in value and len(value) == 2
            else {k: unwrapped(v) for k, v in value.items()}
        )
    return [unwrapped(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("knows", [True, False], ids=["known", "unknown"])
def test_the_same_resources_are_declared_whether_values_are_known_or_not(program: Any, knows: bool) -> None:
    recorder, _, _ = program(knows)
    processes = {key for key in recorder.resources if key.startswith("Process::")}
    assert processes == {
        f"Process::{name}"
        for name in ("postgres", "redis", "lnd", "solana", "esplora", "river", "web-blue", "worker-blue", "router")
    }
    assert len([key for key in recorder.resources if key.startswith("Port::")]) == 12
    assert len(recorder.resources) == 75


def test_an_unknown_port_stays_unknown_and_is_never_formatted_into_text(program: Any) -> None:
    recorder, _, _ = program(False)
    web = recorder.inputs("Process::web-blue")
    assert isinstance(web["environment"]["PORT"], Unknown)
    for key, resource in recorder.resources.items():
        text = json.dumps(resource.inputs, default=lambda _: "unknown")
        assert "None" not in text, key
        assert "127.0.0.1:unknown" not in text, key


def test_outputs_are_those_operations_and_verify_read(program: Any) -> None:
    _, outputs, values = program(True)
    found: dict[str, Any] = {}

    def collect() -> pulumi.Output[Any]:
        return pulumi.Output.from_input(outputs).apply(found.update)

    awaited(collect)
    assert set(found) == {
        "release",
        "url",
        "services",
        "network",
        "bootstrapAdminKey",
        "counterparts",
        "versions",
    }
    assert found["url"] == "http://127.0.0.1:24000"
    assert [service["name"] for service in found["services"]] == [
        "postgres",
        "redis",
        "lnd",
        "solana",
        "esplora",
        "river",
        "web-blue",
        "worker-blue",
        "router",
    ]
    assert found["services"][0] == {
        "name": "postgres",
        "address": "127.0.0.1:24000",
        "health": {"kind": "tcp"},
        "log": "/state folder/local/logs/postgres.log",
    }
    assert found["services"][6]["health"] == {"kind": "http", "path": "/ready"}
    assert set(found["counterparts"]["lightning"]) == {"url", "tlsCertPath", "macaroonPath"}
    assert found["counterparts"]["solana"]["customerKeypair"] == values["solanaCustomer"]
    assert set(found["versions"]) == {"postgres", "redis", "envoy"}


class TestSecrets:
    def test_each_stands_in_secret_inputs_alone(self, program: Any) -> None:
        recorder, _, values = program(True)
        for key, resource in recorder.resources.items():
            plain = json.dumps({name: value for name, value in resource.inputs.items() if name not in SECRET_INPUTS})
            leaked = [name for name, value in values.items() if value in plain]
            assert leaked == [], f"{key} has {leaked} in plain inputs"

    def test_the_web_role_has_neither_the_pay_macaroon_nor_the_fee_payers_key(self, program: Any) -> None:
        recorder, _, values = program(True)
        web, worker = recorder.inputs("Process::web-blue"), recorder.inputs("Process::worker-blue")
        assert "LND_PAY_MACAROON_PATH" not in web["environment"]
        assert worker["environment"]["LND_PAY_MACAROON_PATH"].endswith(
            "/merchant/data/chain/bitcoin/regtest/pay.macaroon"
        )
        holders = [
            resource.inputs["path"]
            for key, resource in recorder.resources.items()
            if key.startswith("SecretFile::") and unwrapped(resource.inputs["content"]) == values["solanaFeePayer"]
        ]
        assert holders == ["/state folder/local/secrets/worker-blue/SOLANA_FEE_PAYER"]

    def test_the_on_chain_wallets_key_is_the_workers_alone(self, program: Any) -> None:
        recorder, _, _ = program(True)
        holders = {
            resource.inputs["path"]
            for key, resource in recorder.resources.items()
            if key.startswith("SecretFile::") and "tprv" in unwrapped(resource.inputs["content"])
        }
        assert holders == {"/state folder/local/secrets/worker-blue/ONCHAIN_SIGNING_DESCRIPTOR"}

    def test_the_owners_url_is_the_migrations_alone(self, program: Any) -> None:
        recorder, _, values = program(True)
        owners = [
            resource.inputs["path"]
            for key, resource in recorder.resources.items()
            if key.startswith("SecretFile::")
            and values["databaseOwnerPassword"] in unwrapped(resource.inputs["content"])
        ]
        assert owners == ["/state folder/local/secrets/migrate/DATABASE_OWNER_URL"]


class TestProcesses:
    def test_each_listens_on_loopback_alone_and_has_a_ready_check_and_a_log(self, program: Any) -> None:
        recorder, _, _ = program(True)
        for key, resource in recorder.resources.items():
            if key.startswith("Process::"):
                inputs = resource.inputs
                assert all(address.startswith("127.0.0.1:") for address in inputs["listens"])
                assert inputs["ready"]["address"] in inputs["listens"]
                assert inputs["log"] == f"/state folder/local/logs/{inputs['process']}.log"
                assert inputs["running"] is True

    def test_the_ceilings_reach_the_service(self, program: Any) -> None:
        recorder, _, _ = program(True)
        environment = recorder.inputs("Process::worker-blue")["environment"]
        assert (environment["MAX_PAYMENT_MSAT"], environment["MAX_FEE_MSAT"]) == ("1000000000", "50000")

    def test_another_secret_is_another_fingerprint(self, program: Any) -> None:
        prints = [unwrapped(program(True)[0].inputs("Process::redis")["fingerprint"]) for _ in range(2)]
        assert prints[0] == prints[1]
        assert unwrapped_fingerprint("a") != unwrapped_fingerprint("b")


def unwrapped_fingerprint(secret: str) -> str:
    found: list[str] = []

    def collect() -> pulumi.Output[None]:
        return runtime.fingerprint("same", pulumi.Output.secret(secret)).apply(found.append)

    awaited(collect)
    return found[0]


SECRET_INPUTS = {"content", "fingerprint", "password", "superuserPassword"}
