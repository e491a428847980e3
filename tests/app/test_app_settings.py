"""Settings: every problem at once, one sentence each, never a secret's value; exit status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from payments.__main__ import main
from payments.settings import AppEnv, Command, Network, Settings, SettingsError, load

ROOT = Path(__file__).resolve().parents[2]
SECRET = "f00dfeed" * 8
GOOD = {
    "DATABASE_URL": "postgresql://payments_app:hunter2pw@127.0.0.1:5432/payments",
    "REDIS_URL": "redis://:hunter2pw@127.0.0.1:6379/0",
    "JWT_SECRET": SECRET,
    "API_KEY_PEPPER": SECRET,
    "INVOICE_SECRET": SECRET,
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*Settings.model_fields, "secrets_dir", "node_env", "cors_origin"]:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def _problems(command: Command = Command.SERVE) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(command)
    return caught.value.problems


def test_every_setting_is_documented() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_good_settings_are_taken(good: pytest.MonkeyPatch) -> None:
    settings = load(Command.SERVE)
    assert settings.app_env is AppEnv.PRODUCTION, "the strictest when nothing is said"
    assert settings.bitcoin_network == "regtest"
    assert settings.solana_network == "devnet"


def test_a_node_without_its_macaroon_stops_the_start(
    good: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pk-env-lnd-macaroon."""
    good.setenv("LND_URL", "https://node:8080")
    good.setenv("LND_TLS_CERT_PATH", str(tmp_path / "tls.cert"))
    for command in ("serve", "work"):
        assert main([command]) == 2
        assert capsys.readouterr().err.startswith("LND_MACAROON is missing")
    good.setenv("LND_MACAROON", "00ff")
    assert load(Command.SERVE).lnd_macaroon is not None


def test_every_asset_has_limits_of_its_own(good: pytest.MonkeyPatch) -> None:
    good.setenv(
        "ASSET_LIMITS", '{"USDC": {"max_payment": 9, "max_fee": 1, "daily_payout": 20, "approval_threshold": 5}}'
    )
    good.setenv("APPROVAL_THRESHOLD_MSAT", "7000")
    settings = load(Command.WORK)
    usdc, bitcoin = settings.limits_of("USDC"), settings.limits_of("BTC")
    assert usdc is not None and (usdc.max_payment, usdc.hot_wallet_floor) == (9, None)  # noqa: PT018
    assert bitcoin is not None and bitcoin.max_payment == settings.max_payment_msat  # noqa: PT018
    assert settings.limits_of("XLM") is None
    assert settings.approval_thresholds() == {"BTC": 7000, "USDC": 5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "ASSET_LIMITS is no JSON"),
        ("[]", "ASSET_LIMITS is no object"),
        ('{"USDC": {"max_payment": 0, "max_fee": 0, "daily_payout": 0}}', "ASSET_LIMITS has USDC.max_payment wrong"),
        ('{"USDC": {"max_fee": 0, "daily_payout": 0}}', "ASSET_LIMITS has USDC.max_payment wrong"),
        ('{"BTC": {"max_payment": 1, "max_fee": 0, "daily_payout": 0}}', "ASSET_LIMITS has BTC, whose limits"),
        ('{"USDC": {"max_payment": 1, "max_fee": 2, "daily_payout": 0}}', "a max_fee of USDC above its max_payment"),
        (
            '{"T":{"max_payment":1,"max_fee":0,"daily_payout":0,"hot_wallet_floor": 2,"hot_wallet_ceiling": 2}}',
            "hot_wallet_floor of T that is not below",
        ),
    ],
)
def test_limits_that_cannot_be_used_are_explained(good: pytest.MonkeyPatch, text: str, said: str) -> None:
    good.setenv("ASSET_LIMITS", text)
    (problem,) = _problems(Command.WORK)
    assert said in problem


def test_a_file_in_the_secrets_folder_serves_as_well(good: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good.delenv("JWT_SECRET")
    (tmp_path / "JWT_SECRET").write_text("a1b2c3d4" * 8 + "\n")
    good.setenv("SECRETS_DIR", str(tmp_path))
    secret = load(Command.SERVE).jwt_secret
    assert secret is not None
    assert secret.get_secret_value() == "a1b2c3d4" * 8


def test_all_problems_are_told_at_once_in_sentences(good: pytest.MonkeyPatch) -> None:
    good.delenv("INVOICE_SECRET")
    good.setenv("PORT", "lots")
    good.setenv("JWT_SECRET", "tooshort")
    good.setenv("LND_URL", "http://node")
    good.setenv("ALLOWED_ORIGINS", "https://*.example")
    good.setenv("TRUSTED_PROXIES", "10.0.0.0/8, everywhere")
    problems = _problems()
    names = {"INVOICE_SECRET", "PORT", "JWT_SECRET", "LND_URL", "ALLOWED_ORIGINS", "TRUSTED_PROXIES"}
    assert {problem.split()[0] for problem in problems} == names
    assert all(problem.endswith(".") for problem in problems)


def test_no_secret_is_echoed(good: pytest.MonkeyPatch) -> None:
    good.setenv("JWT_SECRET", "tooshort-hunter2")
    good.setenv("DATABASE_URL", "mysql://root:hunter2@db/x")
    good.setenv("REDIS_URL", "hunter2://x")
    said = " ".join(_problems())
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LND_PAY_MACAROON", "00ff", "must not be able to sign"),
        ("SOLANA_FEE_PAYER", "00ff", "must not be able to sign"),
        ("BITCOIN_NETWORK", "mainnet", "they must agree"),
        ("SOLANA_NETWORK", "mainnet-beta", "they must agree"),
        ("LND_URL", "https://node:8080", "LND_TLS_CERT_PATH is missing"),
        ("MAX_FEE_MSAT", "99000000000000", "a fee may not exceed"),
        ("ALLOWED_ORIGINS", "http://shop.example", "every origin is https"),
        ("SECRETS_DIR", "/nowhere/at/all", "which is no folder"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    good: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    good.setenv("NETWORK", "regtest")
    good.setenv(name, value)
    assert any(said in problem for problem in _problems())


@pytest.mark.parametrize(
    ("given", "network", "bitcoin"),
    [
        ({"APP_ENV": "production"}, Network.MAINNET, "mainnet"),
        ({"APP_ENV": "staging"}, Network.TESTNET, "testnet"),
        ({"APP_ENV": "local"}, Network.REGTEST, "regtest"),
        ({"NODE_ENV": "production", "BITCOIN_NETWORK": "testnet"}, Network.TESTNET, "testnet"),
        ({"BITCOIN_NETWORK": "signet"}, Network.TESTNET, "signet"),
        ({"APP_ENV": "production", "NETWORK": "testnet"}, Network.TESTNET, "testnet"),
        ({}, Network.REGTEST, "regtest"),
    ],
)
def test_every_rail_follows_one_network_which_the_kind_of_build_decides_unless_it_is_said(
    good: pytest.MonkeyPatch, given: dict[str, str], network: Network, bitcoin: str
) -> None:
    """pk-network-registries, pk-network-registry-by-build, pk-network-executor-match, pk-env-bitcoin-network."""
    for name, value in given.items():
        good.setenv(name, value)
    settings = load(Command.WORK)
    assert (settings.network, settings.bitcoin_network) == (network, bitcoin)
    assert settings.solana_network == ("mainnet-beta" if network is Network.MAINNET else "devnet")
    assert settings.key_environment == ("live" if network is Network.MAINNET else "test")


def test_the_worker_may_have_what_signs(good: pytest.MonkeyPatch) -> None:
    good.setenv("SOLANA_FEE_PAYER", "00ff")
    assert load(Command.WORK).solana_fee_payer is not None


def test_live_keys_belong_to_mainnet(good: pytest.MonkeyPatch) -> None:
    assert load(Command.SERVE).key_environment == "test"
    good.setenv("NETWORK", "mainnet")
    settings = load(Command.SERVE)
    assert (settings.network, settings.key_environment) == (Network.MAINNET, "live")
    assert settings.solana_network == "mainnet-beta"


def test_the_aliases_of_the_guides_are_taken(good: pytest.MonkeyPatch) -> None:
    good.setenv("NODE_ENV", "staging")
    good.setenv("CORS_ORIGIN", "https://shop.example")
    settings = load(Command.SERVE)
    assert (settings.app_env, settings.allowed_origins) == (AppEnv.STAGING, ("https://shop.example",))


@pytest.mark.parametrize("command", ["serve", "work", "migrate"])
def test_the_command_exits_with_2_and_sentences(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said
    assert all(line.endswith(".") for line in said)


def test_a_taken_port_gets_one_sentence(good: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment = {**os.environ, **GOOD, "PORT": str(taken.getsockname()[1]), "PYTHONPATH": str(ROOT / "app")}
        done = subprocess.run(
            [sys.executable, "-m", "payments", "serve"], env=environment, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Cannot listen on 127.0.0.1:" in done.stderr


def test_every_variable_of_the_guides_is_a_setting() -> None:
    # facts.md section 7, whole.
    named = """LND_MACAROON LND_TLS_CERT_PATH LND_URL BITCOIN_NETWORK MAX_PAYMENT_MSAT MAX_FEE_MSAT TEST_INVOICE
        RIVER_API_KEY RIVER_API_SECRET RIVER_WEBHOOK_SECRET SENTRY_DSN REDIS_URL DATABASE_URL JWT_SECRET SOLANA_NETWORK
        SOLANA_RPC_URL PUBLIC_RATE_LIMIT AUTH_RATE_LIMIT VERIFY_RATE_LIMIT LOG_LEVEL ENABLE_METRICS DATADOG_API_KEY
        TON_API_KEY TON_MASTER_KEY PAYMENT_PROCESSOR_ADDRESS API_KEYS STRIPE_SECRET_KEY STRIPE_PUBLISHABLE_KEY
        STRIPE_WEBHOOK_SECRET PAYPAL_CLIENT_ID PAYPAL_CLIENT_SECRET SLACK_WEBHOOK_URL PAYMENT_ALERT_EMAIL AWS_REGION
        SSL_CERTIFICATE_ARN STELLAR_NETWORK STELLAR_HORIZON_URL POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB"""
    known = {name.upper() for name in Settings.model_fields}
    aliases = {
        str(choice)
        for field in Settings.model_fields.values()
        for choice in getattr(field.validation_alias, "choices", ())
    }
    assert {*named.split(), "ALLOWED_ORIGINS", "CORS_ORIGIN", "NODE_ENV"} - known - aliases == set()


def test_what_no_part_of_this_release_reads_is_named(good: pytest.MonkeyPatch) -> None:
    good.setenv("PAYPAL_CLIENT_ID", "AeA1QIZXiflr1_-r0U2UbWTziOWX1GRQer5jkUq4ZfWT5qwb6qQRPq7jDtv57TL4POEEezGLdutcxnkJ")
    good.setenv("AWS_REGION", "us-east-1")
    settings = load(Command.SERVE)
    assert settings.unused() == ["AWS_REGION", "PAYPAL_CLIENT_ID"]


def test_networks_and_keys_of_the_guides_are_not_mixed(good: pytest.MonkeyPatch) -> None:
    good.setenv("STRIPE_SECRET_KEY", "sk_live_hunter2")
    good.setenv("STELLAR_NETWORK", "PUBLIC")
    good.setenv("STELLAR_HORIZON_URL", "http://horizon")
    good.setenv("TON_MASTER_KEY", "hunter2")
    problems = _problems()
    assert {problem.split()[0] for problem in problems} == {
        "STRIPE_SECRET_KEY",
        "STELLAR_NETWORK",
        "STELLAR_HORIZON_URL",
        "TON_MASTER_KEY",
    }
    assert "hunter2" not in "".join(problems)


@pytest.mark.parametrize("value", ["1" * 64, "changeme-" * 5, "demo-" + "0123456789abcdef" * 3])
def test_demonstration_secrets_are_for_local_stacks(good: pytest.MonkeyPatch, value: str) -> None:
    good.setenv("JWT_SECRET", value)
    (problem,) = _problems()
    assert problem.startswith("JWT_SECRET is a demonstration value")
    good.setenv("APP_ENV", "local")
    assert load(Command.SERVE).jwt_secret is not None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[", "no JSON"),
        ("{}", "no list"),
        ('[{"issuer": "a"}]', "audience is wrong"),
        ('[{"issuer": "a", "audience": "b", "algorithm": "HS256", "jwks_url": "https://x"}]', "algorithm is wrong"),
        ('[{"issuer": "a", "audience": "b", "algorithm": "RS256", "jwks_url": "http://x"}]', "outside APP_ENV=local"),
        (
            '[{"issuer": "railyard-payments", "audience": "b", "algorithm": "RS256", "jwks_url": "https://x"}]',
            "twice",
        ),
    ],
)
def test_issuers_that_cannot_be_used_get_one_sentence(good: pytest.MonkeyPatch, value: str, said: str) -> None:
    good.setenv("JWT_ISSUERS", value)
    (problem,) = _problems()
    assert problem.startswith("JWT_ISSUERS ")
    assert said in problem
