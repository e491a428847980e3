"""--emulated: a stack of a cloud on this machine, with settings, secrets and backend of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from operations.checkout import ROOT, State
from operations.emulated import commands
from operations.emulated import stack as emulated_stack
from operations.emulated.stack import EmulatedStack
from operations.errors import OperationError

REAL = {
    "secretsprovider": "awskms:///alias/real?region=eu-central-1",
    "encryptedkey": "AQICAHreal",
    "config": {"railyard:minTasks": 2, "railyard:lndMacaroon": {"secure": "v1:real:cipher"}},
}


DESTROYED_AND_MADE_AGAIN = """
import sys
from operations.emulated import commands
from operations.emulated.stack import EmulatedStack
from operations.progress import Phases
from operations.screen import screen
commands._empty(EmulatedStack.of_this_checkout(sys.argv[1]), Phases(screen()))
commands.up(sys.argv[1])
"""


def command(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`./railyard` without the making of its environment."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "operations", *arguments],
        env={**os.environ, "RAILYARD_STATE": str(state), "RAILYARD_ENGINE": "embedded", "NO_COLOR": "1", **environment},
        cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=900,
    )  # fmt: skip


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmulatedStack:
    """An emulated stack of a checkout whose real settings are a test's."""
    root = tmp_path / "checkout"
    root.mkdir()
    real = yaml.safe_load((ROOT / "Pulumi.staging.yaml").read_text())
    real["config"] |= REAL["config"]
    (root / "Pulumi.staging.yaml").write_text(yaml.safe_dump({**real, **REAL, "config": real["config"]}))
    monkeypatch.setattr(emulated_stack, "ROOT", root)
    monkeypatch.setenv("RAILYARD_STATE", str(tmp_path / "state"))
    stack = EmulatedStack.of_this_checkout("staging")
    stack.make()
    return stack


def real_settings(stack: EmulatedStack) -> Path:
    """The real stack's settings file."""
    return stack.state.folder.parents[2] / "checkout" / "Pulumi.staging.yaml"


def test_the_copy_has_the_real_settings_and_none_of_the_real_secrets(copied: EmulatedStack) -> None:
    real = real_settings(copied)
    before = real.read_bytes()
    settings = copied.copy_settings()
    assert (settings.platform, settings.min_tasks) == ("ecs", 2)
    assert real.read_bytes() == before
    copy = yaml.safe_load(copied.settings.read_text())
    assert copy["config"]["railyard:minTasks"] == 2
    assert "railyard:lndMacaroon" not in copy["config"]
    assert not {"secretsprovider", "encryptedkey", "encryptionsalt"} & set(copy)
    assert copied.settings.stat().st_mode & 0o777 == 0o600


def test_a_changed_setting_reaches_the_copy_and_its_own_secrets_stay(copied: EmulatedStack) -> None:
    copied.copy_settings()
    copy = yaml.safe_load(copied.settings.read_text())
    copy["encryptionsalt"] = "v1:own"
    copy["config"]["railyard:lndMacaroon"] = {"secure": "v1:own:cipher"}
    copied.settings.write_text(yaml.safe_dump(copy))
    real = real_settings(copied)
    real.write_text(real.read_text().replace("railyard:minTasks: 2", "railyard:minTasks: 3"))
    copied.copy_settings()
    copy = yaml.safe_load(copied.settings.read_text())
    assert copy["config"]["railyard:minTasks"] == 3
    assert copy["config"]["railyard:lndMacaroon"] == {"secure": "v1:own:cipher"}
    assert copy["encryptionsalt"] == "v1:own"


def test_stand_ins_of_given_urls_stay_until_what_they_are_made_from_is_another(copied: EmulatedStack) -> None:
    real, key = real_settings(copied), "railyard:redisUrl"

    def change(**changes: Any) -> None:
        content = yaml.safe_load(real.read_text())
        content["config"] |= {f"railyard:{name}": value for name, value in changes.items()}
        real.write_text(yaml.safe_dump(content))

    def kept() -> bool:
        copied.copy_settings()
        return key in yaml.safe_load(copied.settings.read_text())["config"]

    change(platform="kubernetes", cache="given", cacheCidrs=["10.70.3.0/24"])
    assert not kept()
    copy = yaml.safe_load(copied.settings.read_text())
    copy["config"][key] = {"secure": "v1:own:cipher"}
    copied.settings.write_text(yaml.safe_dump(copy))
    assert kept()
    change(cachePort=6380)
    assert not kept()


def test_wrong_settings_are_all_said_before_anything_is_started(copied: EmulatedStack) -> None:
    real = real_settings(copied)
    text = real.read_text().replace("railyard:minTasks: 2", "railyard:minTasks: 0\n  railyard:nodeSize: big")
    real.write_text(text)
    with pytest.raises(OperationError) as refused:
        copied.copy_settings()
    assert "railyard:minTasks is 0" in refused.value.sentence
    assert "railyard:nodeSize is not a setting" in refused.value.sentence
    assert not copied.account.was_started()


def test_it_lies_apart_from_every_other_stack(copied: EmulatedStack, tmp_path: Path) -> None:
    assert copied.state.folder == tmp_path / "state" / "emulated" / "staging"
    assert copied.state.backend_url != State(tmp_path / "state").backend_url
    assert copied.state.passphrase.exists()
    assert not (tmp_path / "state" / "passphrase").exists()


@pytest.mark.parametrize("name", ["up", "preview", "status", "down"])
def test_only_a_clouds_stack_is_emulated(tmp_path: Path, name: str) -> None:
    refused = command(tmp_path / "state", name, "local", "--emulated")
    assert refused.returncode == 2
    assert refused.stderr == "railyard: --emulated is for the stacks staging and prod; local is not one of them.\n"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    asked = command(tmp_path / "state", "status", "staging", "--json")
    assert asked.returncode == 1
    assert "run ./railyard up staging --emulated first" in asked.stderr
    ended = command(tmp_path / "state", "down", "staging", "--emulated", "--yes")
    assert "nothing to end" in ended.stdout


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder whose emulated stacks end with the test."""
    yield tmp_path / "state"
    for account in (tmp_path / "state" / "emulated").glob("*"):
        EmulatedStack(account.name, State(account)).account.end()


def test_a_stack_that_cannot_be_destroyed_is_down_all_the_same(
    copied: EmulatedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[str]:
        raise OperationError("the database is not ready.")

    copied.account.start("123456789012")
    process = copied.account.process()
    assert process is not None
    monkeypatch.setattr(EmulatedStack, "exists", lambda _: True)
    monkeypatch.setattr(commands, "_empty", refuse)
    with pytest.raises(OperationError, match="is down, but its resources could not be destroyed first: the database"):
        commands.down("staging")
    assert not process.is_running()
    assert not copied.state.folder.exists()


@pytest.mark.full
@pytest.mark.parametrize("name", ["staging", "prod"])
def test_a_whole_stack_is_made_checked_changed_healed_and_ended(state: Path, name: str) -> None:
    before = (ROOT / f"Pulumi.{name}.yaml").read_bytes()
    made = command(state, "up", name, "--emulated")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "recorded, not emulated" in made.stdout
    again = command(state, "up", name, "--emulated")
    assert "no changes" in again.stdout, again.stdout + again.stderr

    emulated = EmulatedStack(name, State(state / "emulated" / name))
    status = yaml.safe_load(command(state, "status", name, "--json").stdout)
    assert status["endpoints"]["aws"] == emulated.account.url()
    assert status["resources"] >= 110
    assert status["outputs"]["testHeader"]["name"]
    assert status["outputs"]["testHeader"]["value"] is None
    check_account(emulated)

    # Somebody deletes an alarm: as with a real provider it is seen when it is looked for.
    watch: Any = botocore.session.Session().create_client(
        "cloudwatch", region_name="eu-central-1", endpoint_url=emulated.account.url(),
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    watch.delete_alarms(AlarmNames=[f"railyard-{name}-redis-down"])
    assert "no changes" in command(state, "preview", name, "--emulated").stdout
    assert (
        f"+ MetricAlarm railyard-{name}-redis-down" in command(state, "preview", name, "--emulated", "--refresh").stdout
    )

    process = emulated.account.process()
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    healed = command(state, "up", name, "--emulated")
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert "process was gone" in healed.stdout
    check_account(emulated)

    if name == "staging":
        # What a destroy leaves of names stands in nobody's way.
        second = subprocess.run(
            [sys.executable, "-P", "-c", DESTROYED_AND_MADE_AGAIN, name],
            env={**os.environ, "RAILYARD_STATE": str(state), "RAILYARD_ENGINE": "embedded", "NO_COLOR": "1"},
            cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=900,
        )  # fmt: skip
        assert second.returncode == 0, second.stdout + second.stderr
        check_account(emulated)

    ended = command(state, "down", name, "--emulated", "--yes")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Nothing of it is left" in ended.stdout
    still = [line for line in ended.stdout.splitlines() if "still in the account" in line]
    # The key that the first life of staging left on purpose, of which the second knows nothing.
    assert len(still) == (1 if name == "staging" else 0), still
    assert all(":key/" in line for line in still)
    assert "retained on purpose: the database's last snapshot" in ended.stdout
    assert f"retained on purpose: railyard-{name}-keys-data (aws:kms/key:Key)" in ended.stdout
    assert emulated.account.url() == ""
    assert (ROOT / f"Pulumi.{name}.yaml").read_bytes() == before


@pytest.mark.full
@pytest.mark.skipif(
    shutil.which("pulumi-language-python") is None or shutil.which("pulumi") is None,
    reason="there is no Pulumi CLI on PATH, with its Python host",
)
def test_the_pulumi_cli_makes_the_same_stack_of_the_same_providers(state: Path) -> None:
    made = command(state, "up", "staging", "--emulated", RAILYARD_ENGINE="cli")
    assert made.returncode == 0, made.stdout + made.stderr
    again = command(state, "up", "staging", "--emulated", RAILYARD_ENGINE="cli")
    assert "no changes" in again.stdout, again.stdout + again.stderr
    check_account(EmulatedStack("staging", State(state / "emulated" / "staging")))
    ended = command(state, "down", "staging", "--emulated", "--yes", RAILYARD_ENGINE="cli")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Nothing of it is left" in ended.stdout


def check_account(emulated: EmulatedStack) -> None:
    """The account as boto3 sees it has what the settings ask for."""

    def client(service: str) -> Any:
        session = botocore.session.Session()
        return session.create_client(
            service, region_name="eu-central-1", endpoint_url=emulated.account.url(),
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    [database] = client("rds").describe_db_instances()["DBInstances"]
    assert database["StorageEncrypted"]
    assert not database["PubliclyAccessible"]
    assert database["BackupRetentionPeriod"] >= 7
    world = [
        (rule["FromPort"], rule["ToPort"])
        for group in client("ec2").describe_security_groups()["SecurityGroups"]
        for rule in group["IpPermissions"]
        if any(one["CidrIp"] == "0.0.0.0/0" for one in rule.get("IpRanges", []))
    ]
    assert set(world) == {(443, 443)}
    for group in client("logs").describe_log_groups()["logGroups"]:
        assert group.get("retentionInDays"), group["logGroupName"]
    for secret in client("secretsmanager").list_secrets()["SecretList"]:
        # Those that RDS and EventBridge keep for themselves have their names before the "!".
        assert secret.get("KmsKeyId") or "!" in secret["Name"], secret["Name"]
