"""Bad input: a line for each wrong key, all at once, with the key, the value (never a secret's) and the cure."""

from __future__ import annotations

from typing import Any

import pytest

from components.settings import Settings, SettingsError
from tests.components.test_settings_of_clouds import committed


def said(changes: dict[str, Any], platform: str = "ecs") -> list[str]:
    """The lines that staging with these changes is answered by."""
    with pytest.raises(SettingsError) as refused:
        Settings.from_file({**committed("staging"), "railyard:platform": platform, **changes})
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    ("changes", "what", "cure"),
    [
        ({"railyard:rails": "lnd"}, "is 'lnd' and must be a list", "--path 'railyard:rails[0]' <value>"),
        (
            {"railyard:deletionProtection": "maybe"},
            "is 'maybe' and must be true or false",
            "deletionProtection <value>",
        ),
        ({"railyard:monthlyBudgetUsd": -3}, "is -3 and must be at least 1", "monthlyBudgetUsd <value>"),
        ({"railyard:monthlyBudgetUsd": float("nan")}, "is nan and must be a whole number", "monthlyBudgetUsd <value>"),
        ({"railyard:maxTasks": 11}, "is 11 and must be at most 10", "railyard:maxTasks <value>"),
        ({"railyard:minTasks": 1}, "is 1 and must be at least 2", "railyard:minTasks <value>"),
        ({"railyard:serviceCpuUnits": 300}, "is 300, and Fargate has 512, 1024", "serviceCpuUnits 2048"),
        (
            {"railyard:serviceMemoryMib": 16384},
            "is 16384, and with 1024 CPU units Fargate has 2048 to 8192 in steps of 1024",
            "serviceMemoryMib 2048",
        ),
        ({"railyard:cacheNodeType": "cache.t3.micro"}, "less than 1 GB", "cacheNodeType cache.t4g.small"),
        ({"railyard:databasePoolSize": 100}, "connections are opened", "Lower railyard:databasePoolSize"),
        ({"railyard:minTask": 3}, "is not a setting", "the nearest names are minTasks"),
        ({"railyard:accountId": "1234"}, "is '1234' and must be twelve digits", "railyard:accountId <value>"),
        ({"railyard:lndMacaroon": "0201036c"}, "is stored in plain text", "config set --secret railyard:lndMacaroon"),
    ],
)
def test_each_is_one_line_with_its_cure(changes: dict[str, Any], what: str, cure: str) -> None:
    (line,) = said(changes)
    assert any(line.startswith(key) for key in changes)
    assert what in line
    assert cure in line


def test_all_of_them_are_said_at_once() -> None:
    wrong = {"railyard:minTasks": "three", "railyard:cacheNodeType": "cache.t3.micro", "railyard:minTask": 3,
             "railyard:serviceCpuUnits": 300, "railyard:solanaRpcUrl": "https://rpc.example"}  # fmt: skip
    assert {line.split(" ", 1)[0] for line in said(wrong)} == set(wrong)


def test_a_size_that_fargate_has_not_is_right_for_pods() -> None:
    values = {**committed("staging"), "railyard:platform": "kubernetes", "railyard:serviceCpuUnits": 300}
    assert Settings.from_file(values).service_cpu_units == 300


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("railyard:stripePublishableKey", "sk_live_planted0123456789"),
        ("railyard:lndUrl", "http://admin:planted@10.60.0.10:8080"),
        ("railyard:lndMacaroon", "planted0201036c6e64"),
        ("railyard:alertEmail", "whsec_planted"),
    ],
)
def test_what_looks_like_a_secret_is_not_shown_again(key: str, value: str) -> None:
    (line,) = said({key: value})
    assert line.startswith(key)
    assert "planted" not in line


def test_an_encrypted_secret_is_no_problem_and_decrypted_values_are_passed_over() -> None:
    sealed = {**committed("staging"), "railyard:lndMacaroon": {"secure": "v1:abc"}}
    assert Settings.from_file(sealed).platform == "ecs"
    assert Settings.from_mapping({**committed("staging"), "railyard:lndMacaroon": "0201"}).platform == "ecs"
