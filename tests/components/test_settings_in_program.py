"""The settings as the running program reads them: secrets stay outputs, and what is wrong with them is said at once."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.runtime.config import set_all_config

from components.settings import SECRETS, Settings, SettingsError

PAY_TO = "8hUhuYN36M9md2bdUvixDKjvgSMTLj1uc8EtVDtQMGmG"
ALL_SECRETS = {f"railyard:{value.key}": f"planted-{value.key}" for value in SECRETS}


@pytest.fixture(autouse=True)
def no_config(event_loop_of_its_own: None) -> Any:
    yield
    set_all_config({}, [])


def test_plain_values_are_typed_and_secrets_are_secret_outputs() -> None:
    config = {**ALL_SECRETS, "railyard:solanaPayTo": PAY_TO, "railyard:ports": '{"router": 24000}'}
    set_all_config(config, list(ALL_SECRETS))
    settings, secrets = Settings.from_pulumi()
    assert settings.ports.router == 24000
    seen: list[bool] = []

    async def look() -> None:
        seen.append(await secrets["jwtSecret"].is_secret())

    pulumi.runtime.test(look)()  # type: ignore[no-untyped-call]
    assert seen == [True]


def test_missing_plain_and_wrong_values_are_all_reported_without_showing_a_secret() -> None:
    config = {**ALL_SECRETS, "railyard:solanaPayTo": PAY_TO, "railyard:maxFeeMsat": "lots"}
    del config["railyard:redisPassword"]
    encrypted = [key for key in ALL_SECRETS if key != "railyard:jwtSecret"]
    set_all_config(config, encrypted)
    with pytest.raises(SettingsError) as caught:
        Settings.from_pulumi()
    assert [problem.key for problem in caught.value.problems] == [
        "railyard:maxFeeMsat",
        "railyard:redisPassword",
        "railyard:jwtSecret",
    ]
    said = str(caught.value)
    assert "railyard:redisPassword (password of Redis) is missing. Run ./railyard up, which generates it" in said
    assert "railyard:jwtSecret (key that signs session tokens) is stored in plain text." in said
    assert "planted" not in said


def test_ports_that_are_no_json_are_told_not_raised() -> None:
    set_all_config({**ALL_SECRETS, "railyard:solanaPayTo": PAY_TO, "railyard:ports": "{router: "}, list(ALL_SECRETS))
    with pytest.raises(SettingsError, match=r"railyard:ports is '{router: ' and must be a map"):
        Settings.from_pulumi()
