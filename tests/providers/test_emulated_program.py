"""A small program in an emulated account, with the provider processes and the account that --emulated starts."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session
import pytest

from operations.emulated.account import Account, without_own_account
from operations.emulated.provider_processes import providers
from tests.engine.conformance.conf_harness import Stack
from tests.operations.conftest import wait_until

PROGRAM = """
import pulumi_aws as aws
import pulumi_random as rnd
cloud = aws.Provider("cloud", region="eu-central-1",
                     default_tags=aws.ProviderDefaultTagsArgs(tags={{"team": "payments"}}))
inside = pulumi.InvokeOptions(provider=cloud)
opts = Opts(provider=cloud)
zone = aws.get_availability_zones(opts=inside).names[0]
vpc = aws.ec2.Vpc("main", cidr_block="{cidr}", enable_dns_hostnames={dns}, opts=opts)
subnet = aws.ec2.Subnet("private", vpc_id=vpc.id, cidr_block="{subnet}", availability_zone=zone, opts=opts)
password = rnd.RandomPassword("password", length=32, special=False)
secret = aws.secretsmanager.Secret("secret", recovery_window_in_days=0, opts=opts)
aws.secretsmanager.SecretVersion("value", secret_id=secret.id, secret_string=password.result, opts=opts)
pulumi.export("account", aws.get_caller_identity(opts=inside).account_id)
pulumi.export("password", password.result)
"""
SETTINGS = {"cidr": "10.0.0.0/16", "subnet": "10.0.1.0/24", "dns": True}
NUMBER = "210987654321"


@dataclass
class Emulated:
    """A stack of the small program, its account, and what its processes touched."""

    stack: Stack
    account: Account
    audit: Path

    def client(self, service: str) -> Any:
        # The test's own look must not find the planted account either.
        session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        return session.create_client(
            service, region_name="eu-central-1", endpoint_url=self.account.url(),
            aws_access_key_id="test", aws_secret_access_key="test",
            config=botocore.config.Config(proxies={}),
        )  # fmt: skip

    def noted(self, kind: str) -> set[str]:
        lines = self.audit.read_text().splitlines() if self.audit.exists() else []
        return {line.partition(" ")[2] for line in lines if line.startswith(f"{kind} ")}

    def secrets(self) -> list[str]:
        return [one["Name"] for one in self.client("secretsmanager").list_secrets()["SecretList"]]


@pytest.fixture
def emulated(tmp_path: Path, pulumi_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulated]:
    """An account and providers in surroundings that have an account of the person's own, which must stay unread."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    for name in ("credentials", "config"):
        (home / ".aws" / name).write_text("[default]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real\n")
    for name, value in without_own_account({}).items():
        monkeypatch.setenv(name, value)  # what the command itself sets; its own environment comes back afterwards
    monkeypatch.setenv("AWS_PROFILE", "default")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "watchdog"))
    monkeypatch.setenv("RAILYARD_TEST_AUDIT", str(tmp_path / "audit"))
    monkeypatch.setenv("RAILYARD_TEST_WATCHED", str(home / ".aws"))
    account = Account(tmp_path / "account")
    url = account.start(NUMBER)
    project, backend = tmp_path / "project", tmp_path / "backend"
    project.mkdir()
    backend.mkdir()
    try:
        with providers({"aws": url, "random": ""}, tmp_path / "logs") as running:
            stack = Stack(
                project,
                "embedded",
                {
                    "PULUMI_HOME": str(pulumi_home),
                    "PULUMI_BACKEND_URL": f"file://{backend}",
                    "PULUMI_CONFIG_PASSPHRASE": "emulated",
                    "PULUMI_DEBUG_PROVIDERS": running.addresses,
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                },
            )
            stack.create()
            yield Emulated(stack, account, tmp_path / "audit")
    finally:
        account.end()


def test_a_program_lives_in_an_account_of_this_machine_and_touches_no_other(emulated: Emulated) -> None:
    stack = emulated.stack
    stack.up(PROGRAM.format(**SETTINGS))
    outputs = stack.outputs()
    assert outputs["account"] == NUMBER
    [name] = emulated.secrets()
    assert emulated.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"] == outputs["password"]
    assert outputs["password"] not in json.dumps(stack.export())
    assert stack.state("main")["outputs"]["tagsAll"] == {"team": "payments"}
    assert stack.up(None, "--refresh").changes == {}

    # What the real provider would replace is replaced, and what it would update is updated.
    planned = stack.preview(PROGRAM.format(**SETTINGS | {"dns": False}))
    assert planned.changes == {"update": 1}
    planned = stack.preview(PROGRAM.format(**SETTINGS | {"cidr": "10.1.0.0/16", "subnet": "10.1.1.0/24"}))
    assert planned.changes == {"replace": 2}

    # An account whose process died is made again, and the stack in it.
    process = emulated.account.process()
    assert process is not None
    stack.write(PROGRAM.format(**SETTINGS))
    process.send_signal(signal.SIGKILL)
    wait_until(lambda: emulated.account.url() == "", "the account's end")
    assert emulated.account.was_started()
    assert "does not answer" in stack.refresh(fails=True).text


def test_what_is_ended_leaves_an_empty_account_and_nothing_of_the_persons_own_was_touched(emulated: Emulated) -> None:
    emulated.stack.up(PROGRAM.format(**SETTINGS))
    assert emulated.secrets()
    emulated.stack.destroy()
    assert emulated.secrets() == []
    assert [one for one in emulated.client("ec2").describe_vpcs()["Vpcs"] if not one["IsDefault"]] == []
    # The watchdog saw what the processes did, and none of it was elsewhere.
    assert "127.0.0.1" in emulated.noted("connect")
    assert emulated.noted("connect") <= {"127.0.0.1", "::1"}
    assert emulated.noted("resolve") <= {"127.0.0.1", "localhost", "::1"}
    assert emulated.noted("open") == set()


def test_an_account_outlives_its_command_and_ends_when_told(tmp_path: Path) -> None:
    account = Account(tmp_path / "account")
    assert account.url() == ""
    assert not account.was_started()
    account.start(NUMBER)
    process = account.process()
    try:
        assert process is not None
        # A session of its own: the terminal's signals and hang-ups are not for it.
        assert os.getsid(process.pid) == process.pid
        assert Account(tmp_path / "account").url() == account.url() != ""
        # Another process with its number is not taken for it.
        announced = tmp_path / "account" / "account.json"
        told = json.loads(announced.read_text())
        announced.write_text(json.dumps({**told, "pid": os.getpid()}))
        assert account.url() == ""
        announced.write_text(json.dumps(told))
    finally:
        account.end()
    assert process is not None
    assert not process.is_running()
    assert not account.was_started()
