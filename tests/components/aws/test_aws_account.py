"""The whole staging stack in an emulated account, read with plain boto3 as an auditor would."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.aws.alarm_table import Subject, alarm_rows
from components.settings import Settings
from components.settings.pool import connection_limit
from tests.components.aws import account as auditor
from tests.components.aws.declaring import CHECKOUT

pytestmark = pytest.mark.full
MINUTES_10 = 600


def _settings() -> Settings:
    document = yaml.safe_load((CHECKOUT / "Pulumi.staging.yaml").read_text(encoding="utf-8"))
    return Settings.from_mapping(document["config"])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What `status --json` tells of the running stack."""
    state: Path = tmp_path_factory.mktemp("state")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PULUMI_"))}
    environment["RAILYARD_STATE"] = str(state)

    def railyard(*arguments: str) -> str:
        done = subprocess.run(
            ["./railyard", *arguments],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=MINUTES_10,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    railyard("up", "staging", "--emulated")
    try:
        found: dict[str, Any] = json.loads(railyard("status", "staging", "--json"))
        yield found
    finally:
        railyard("down", "staging", "--emulated", "--yes")


@pytest.fixture
def account(stack: dict[str, Any]) -> auditor.Account:
    return auditor.Account(stack["endpoints"]["aws"], stack["outputs"]["region"])


def test_the_database_is_encrypted_private_in_two_zones_and_backed_up(account: auditor.Account) -> None:
    assert list(auditor.database_problems(account)) == []


def test_the_cache_asks_for_tls_and_a_token_and_has_a_replica(account: auditor.Account) -> None:
    assert list(auditor.cache_problems(account)) == []


def test_the_world_reaches_443_and_tasks_leave_on_443_and_for_lnd(
    account: auditor.Account, stack: dict[str, Any]
) -> None:
    group = stack["outputs"]["service"]["securityGroupId"]
    settings = _settings()
    assert settings.lnd_address is not None
    place = settings.lnd_cidrs[0], settings.lnd_address[1]
    assert list(auditor.network_problems(account, task_group=group, lnd=place)) == []


def test_every_secret_is_rotated(account: auditor.Account) -> None:
    assert list(auditor.secret_problems(account)) == []


def test_every_secret_lets_in_nobody_but_who_uses_it(account: auditor.Account) -> None:
    assert list(auditor.secret_policy_problems(account, list(_settings().secret_administrators))) == []


def test_every_log_group_is_encrypted_and_ends_its_lines(account: auditor.Account) -> None:
    assert list(auditor.log_problems(account)) == []


def test_tasks_run_a_digest_without_root_on_a_read_only_system(account: auditor.Account) -> None:
    assert list(auditor.service_problems(account)) == []


def test_every_row_of_the_table_is_an_alarm_that_tells_somebody(account: auditor.Account) -> None:
    settings = _settings()
    subject = Subject(
        rails=tuple(rail.value for rail in settings.rails),
        database_storage_gib=settings.database_storage_gb,
        database_maximum_connections=connection_limit(settings.database_instance_class),
    )
    rows = {f"railyard-staging-{row.name}": row for row in alarm_rows(subject)}
    assert list(auditor.alarm_problems(account, rows)) == []


def test_no_bucket_is_public_and_the_archive_is_locked(account: auditor.Account, stack: dict[str, Any]) -> None:
    assert list(auditor.bucket_problems(account, stack["outputs"]["archiveBucket"])) == []
