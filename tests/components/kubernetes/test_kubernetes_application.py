"""The application as a whole: order, unknowns, what the image is told, and names."""

from __future__ import annotations

import importlib
import secrets
from typing import Any

import pulumi
import pytest

from components.arguments import ArgumentError
from components.kubernetes.names import DNS_1035, DNS_1123
from payments.settings import Command, SettingsError, load
from tests.components.kubernetes.declaring import IMAGE, Declared, application, declared

ROLES = {"Deployment 402pay-facilitator": Command.SERVE, "Deployment 402pay-worker": Command.WORK}
VALUES = {
    "DATABASE_URL": "postgresql://payments_app:p@db.example:5432/payments",
    "DATABASE_OWNER_URL": "postgresql://payments_owner:p@db.example:5432/payments",
    "REDIS_URL": "rediss://:p@cache.example:6379/0",
    "SOLANA_RPC_URL": "https://rpc.example/",
}


@pytest.fixture(scope="module")
def whole() -> Declared:
    return declared(application())


def test_it_is_declared_with_an_image_that_is_not_known_yet() -> None:
    class Image(pulumi.CustomResource):
        digest: pulumi.Output[str]

        def __init__(self, name: str) -> None:
            super().__init__("docker:index:Image", name, {"digest": None})

    known = declared(application(), preview=True)
    unknown = declared(lambda: application(image=Image("image").digest)(), preview=True)
    assert {it for it in unknown.types if not it[0].startswith("docker:")} == set(known.types)


def test_an_image_known_late_is_still_refused_when_it_has_no_digest() -> None:
    with pytest.raises(Exception, match="which has no digest"):
        # The output is made inside: it needs the program's event loop.
        declared(lambda: application(image=pulumi.Output.from_input("registry.example/payments:v1"))())


def test_types_are_named_after_the_room_and_children_after_their_component(whole: Declared) -> None:
    components = [(kind, name) for kind, name in whole.types if kind.startswith("railyard:")]
    assert ("railyard:kubernetes:Application", "payments") in components
    assert all(kind.startswith("railyard:kubernetes:") for kind, _ in components)
    assert all(name.startswith("payments") for _, name in whole.types)
    assert len({*whole.types}) == len(whole.types)


def test_names_are_legal_where_the_api_is_strict(whole: Declared) -> None:
    for it in whole.objects:
        name = it["metadata"]["name"]
        legal = DNS_1035 if it["kind"] in ("Service", "Namespace") else DNS_1123
        assert legal.fullmatch(name), f"{it['kind']} {name}"
    assert set(whole.of("Service")) == {"facilitator"}
    assert {"402pay-facilitator", "402pay-worker"} == set(whole.of("Deployment"))


def test_everything_but_the_namespace_is_in_it(whole: Declared) -> None:
    outside = [it["kind"] for it in whole.objects if it["metadata"].get("namespace") != "payments"]
    assert outside == ["Namespace"]


def _environment(whole: Declared, pod: str) -> dict[str, str]:
    """The variables a container has: its own and those of its Secrets, as the operator fills them."""
    container = whole.pods()[pod]["containers"][0]
    found = {it["name"]: it["value"] for it in container["env"]}
    for source in container["envFrom"]:
        external = whole.one("ExternalSecret", source["secretRef"]["name"])
        for variable in external["spec"]["target"]["template"]["data"]:
            found[variable] = VALUES.get(variable, secrets.token_hex(32))
    return found


def _load(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], command: Command) -> Any:
    for name in ("DATABASE_URL", "REDIS_URL", "SECRETS_DIR", "LND_URL", "APP_ENV"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load(command)


@pytest.mark.parametrize(("pod", "command"), ROLES.items())
def test_the_image_takes_the_variables_it_is_given(
    whole: Declared, monkeypatch: pytest.MonkeyPatch, pod: str, command: Command
) -> None:
    settings = _load(monkeypatch, _environment(whole, pod), command)
    assert settings.release == "r-2026-11-25-1"
    assert settings.app_env.value == "staging"
    assert settings.host == "0.0.0.0"
    assert str(settings.lnd_tls_cert_path) == "/var/run/lnd/tls.cert"
    container = whole.pods()[pod]["containers"][0]
    listens = settings.port if command is Command.SERVE else settings.worker_port
    assert [port["containerPort"] for port in container["ports"]] == [listens]
    assert container["args"] == [command.value]
    assert {"name": "NODE_ENV", "value": "production"} in container["env"]


def test_the_web_role_with_a_wallet_would_not_even_start(whole: Declared, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _environment(whole, "Deployment 402pay-worker") | {"JWT_SECRET": secrets.token_hex(32)}
    with pytest.raises(SettingsError, match="must not be able to sign"):
        _load(monkeypatch, environment, Command.SERVE)


def test_jobs_have_what_their_commands_need(whole: Declared, monkeypatch: pytest.MonkeyPatch) -> None:
    job = next(name for name in whole.pods() if name.startswith("Job "))
    assert whole.pods()[job]["containers"][0]["args"] == ["migrate"]
    assert _load(monkeypatch, _environment(whole, job), Command.MIGRATE).database_owner_url
    audit = "CronJob 402pay-maintenance-audit-verify"
    assert whole.pods()[audit]["containers"][0]["args"] == ["audit", "verify"]
    assert _load(monkeypatch, _environment(whole, audit), Command.AUDIT).database_url


def test_the_migration_is_named_after_the_image_so_that_each_release_has_its_own(whole: Declared) -> None:
    assert set(whole.of("Job")) == {f"402pay-migration-{IMAGE.rpartition(':')[2][:12]}"}
    other = declared(application(image=IMAGE.replace("4d", "5e")))
    assert set(other.of("Job")).isdisjoint(whole.of("Job"))


def test_the_autoscaler_and_the_rollout_keep_what_is_theirs() -> None:
    seen: dict[str, Any] = {}
    service: Any = importlib.import_module("components.kubernetes.service")
    original = service.Deployment

    def deployment(name: str, **arguments: Any) -> Any:
        seen[name] = arguments["opts"].ignore_changes
        return original(name, **arguments)

    service.Deployment = deployment
    try:
        declared(application())
    finally:
        service.Deployment = original
    assert seen["payments-web-deployment"] == ["spec.replicas"]
    assert seen["payments-worker-deployment"] is None


BAD = [
    ({"namespace": "1payments"}, "NamespaceArgs.name is '1payments', which is no DNS-1035 label"),
    ({"namespace": "default"}, "belongs to the cluster"),
    ({"image": "payments:latest"}, "ApplicationArgs.image is 'payments:latest', which has no digest"),
    ({"minimum": 1}, "ServiceArgs.replicas is 1 and must be at least 2"),
    ({"maximum": 2}, "ScalingArgs.maximum is 2 and must be at least 3"),
    ({"worker_replicas": 0}, "WorkloadArgs.replicas is 0 and must be at least 1"),
    ({"hostname": "pay_example"}, "GatewayArgs.hostname is 'pay_example'"),
    ({"gateway_class": ""}, "GatewayArgs.gateway_class is empty"),
    ({"gateway_namespace": ""}, "NetworkPoliciesArgs.gateway_namespace is empty, which would be every namespace"),
    ({"migration_secrets": {}}, "SecretsArgs.migration is empty"),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD)
def test_a_wrong_argument_is_named_with_its_cure(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        declared(application(**changes))
    assert sentence in str(refused.value)
    assert refused.value.fix.endswith(".")
