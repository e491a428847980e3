"""The settings file comes back with its stack's own secrets, whatever was done to the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings import GENERATED, Settings
from operations import settings_file
from operations.checkout import State
from operations.errors import OperationError

SECURE = {"secure": "v1:abc"}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setattr(settings_file, "SETTINGS", tmp_path / "Pulumi.local.yaml")
    return State(tmp_path / "state")


def settings(**config: Any) -> dict[str, Any]:
    return {"encryptionsalt": "v1:ours", "config": {f"railyard:{key}": value for key, value in config.items()}}


def write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))


def read() -> dict[str, Any]:
    return settings_file.read_settings(settings_file.SETTINGS)


def test_a_first_time_has_nothing_to_restore(state: State) -> None:
    assert settings_file.restore(state) == ""
    assert not settings_file.SETTINGS.exists()


def test_a_missing_file_comes_back_private(state: State) -> None:
    write(state.settings_copy, settings(jwtSecret=SECURE))
    assert "is back" in settings_file.restore(state)
    assert read() == settings(jwtSecret=SECURE)
    assert settings_file.SETTINGS.stat().st_mode & 0o777 == 0o600


def test_a_file_changed_by_hand_stays(state: State) -> None:
    write(state.settings_copy, settings(jwtSecret=SECURE))
    write(settings_file.SETTINGS, settings(jwtSecret=SECURE, maxFeeMsat=1))
    assert settings_file.restore(state) == ""
    assert read() == settings(jwtSecret=SECURE, maxFeeMsat=1)


def test_a_file_of_another_stack_gives_way_to_our_own(state: State) -> None:
    write(state.settings_copy, settings(jwtSecret=SECURE))
    write(settings_file.SETTINGS, settings(jwtSecret=SECURE) | {"encryptionsalt": "v1:theirs"})
    assert "in place of another stack's" in settings_file.restore(state)
    assert read() == settings(jwtSecret=SECURE)


def test_secrets_nobody_can_read_are_dropped_and_plain_settings_kept(state: State) -> None:
    write(settings_file.SETTINGS, settings(jwtSecret=SECURE, maxFeeMsat=20_000))
    assert "made anew" in settings_file.restore(state)
    assert read() == {"config": {"railyard:maxFeeMsat": 20_000}}


def test_a_stack_known_to_the_backend_keeps_its_file(state: State) -> None:
    checkpoint = state.folder / ".pulumi" / "stacks" / "railyard" / "local.json"
    write(checkpoint, {})
    write(settings_file.SETTINGS, settings(jwtSecret=SECURE))
    assert settings_file.restore(state) == ""
    assert read() == settings(jwtSecret=SECURE)


def test_putting_away_and_restoring_gives_the_same_file(state: State) -> None:
    write(settings_file.SETTINGS, settings(jwtSecret=SECURE, logLevel="debug"))
    before = settings_file.SETTINGS.read_bytes()
    settings_file.put_away(state)
    assert not settings_file.SETTINGS.exists()
    settings_file.restore(state)
    assert settings_file.SETTINGS.read_bytes() == before


def test_no_yaml_is_one_sentence_with_the_line(state: State) -> None:
    settings_file.SETTINGS.write_text("config:\n  a: [\n")
    with pytest.raises(OperationError, match=r"Pulumi\.local\.yaml cannot be read: line \d+: .*Mend it"):
        settings_file.restore(state)
    settings_file.SETTINGS.write_text("- a\n")
    with pytest.raises(OperationError, match="is no mapping"):
        settings_file.restore(state)


def test_every_wrong_setting_is_told_at_once(state: State) -> None:
    write(settings_file.SETTINGS, settings(maxFeeMsat="abc", platform="mainframe", solanaPayTo="1" * 40))
    with pytest.raises(OperationError) as raised:
        settings_file.check()
    assert "railyard:maxFeeMsat is 'abc'" in raised.value.sentence
    assert "railyard:platform is 'mainframe'" in raised.value.sentence


def test_each_kind_of_value_can_be_generated_and_is_never_the_same_twice() -> None:
    for value in GENERATED:
        generate = settings_file.GENERATORS[value.kind]
        assert generate(value) != generate(value)
    address = {value.key: settings_file.GENERATORS[value.kind](value) for value in GENERATED}["solanaPayTo"]
    assert Settings.from_mapping({"solanaPayTo": address}).solana_pay_to == address
