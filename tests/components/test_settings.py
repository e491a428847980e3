"""The settings: defaults, every problem at once, each with its cure."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from components.settings import GENERATED, SECRETS, Ports, SecretKind, Settings, SettingsError, describe
from components.settings.documents import generated_files
from tests.components.places import CHECKOUT

PAY_TO = "8hUhuYN36M9md2bdUvixDKjvgSMTLj1uc8EtVDtQMGmG"


def problems_of(**values: object) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({"solanaPayTo": PAY_TO, **values})
    return {problem.key: str(problem) for problem in caught.value.problems}


class TestReading:
    def test_the_defaults_are_those_of_the_brief(self) -> None:
        settings = Settings.from_mapping({"railyard:solanaPayTo": PAY_TO})
        assert (settings.platform, settings.network, settings.log_level) == ("local", "regtest", "info")
        assert (settings.max_payment_msat, settings.max_fee_msat) == (1_000_000_000, 50_000)
        assert settings.ports == Ports()

    def test_values_come_as_text_with_or_without_the_namespace(self) -> None:
        settings = Settings.from_mapping(
            {"railyard:maxPaymentMsat": "5000", "maxFeeMsat": 7, "ports": {"webBlue": "24000"}, "solanaPayTo": PAY_TO}
        )
        assert (settings.max_payment_msat, settings.max_fee_msat, settings.ports.web_blue) == (5000, 7, 24000)

    def test_every_default_may_come_as_the_text_the_engine_makes_of_it(self) -> None:
        declared = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())["config"]
        values = {
            key: entry["default"] if isinstance(entry["default"], list) else json.dumps(entry["default"]).strip('"')
            for key, entry in declared.items()
        }
        assert Settings.from_mapping({**values, "solanaPayTo": PAY_TO}) == Settings.from_mapping(
            {"solanaPayTo": PAY_TO}
        )

    def test_secrets_and_other_namespaces_are_passed_over(self) -> None:
        values = {value.key: "x" for value in SECRETS} | {"aws:region": "eu-central-1", "solanaPayTo": PAY_TO}
        assert Settings.from_mapping(values).platform == "local"

    def test_no_running_program_and_no_pulumi_is_needed(self) -> None:
        code = "import components.settings, sys; assert not [m for m in sys.modules if m.split('.')[0] == 'pulumi']"
        subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)


class TestProblems:
    def test_all_are_reported_at_once(self) -> None:
        found = problems_of(
            platform="moon", maxPaymentMsat="many", maxFeeMsat=-1, ports={"redis": 70000, "moon": 1}, a=1
        )
        assert set(found) == {
            "railyard:platform",
            "railyard:maxPaymentMsat",
            "railyard:maxFeeMsat",
            "railyard:ports.redis",
            "railyard:ports.moon",
            "railyard:a",
        }

    def test_each_says_the_key_the_value_the_rule_and_the_command(self) -> None:
        assert problems_of(maxPaymentMsat="many")["railyard:maxPaymentMsat"] == (
            "railyard:maxPaymentMsat is 'many' and must be a whole number. "
            "Set it with `pulumi config set railyard:maxPaymentMsat <value>`."
        )

    def test_a_nested_key_is_set_by_its_path(self) -> None:
        said = problems_of(ports={"redis": 70000})["railyard:ports.redis"]
        assert "at most 65535" in said
        assert "pulumi config set --path railyard:ports.redis" in said

    def test_an_unknown_key_names_the_nearest(self) -> None:
        said = problems_of(maxPaymentMsats=1, qqqq=1, ports={"moon": 1})
        assert "is not a setting" in said["railyard:maxPaymentMsats"]
        assert "the nearest names are maxPaymentMsat" in said["railyard:maxPaymentMsats"]
        assert said["railyard:qqqq"].endswith("docs/configuration.md lists the settings.")
        assert "the settings are router, routerAdmin, " in said["railyard:ports.moon"]

    def test_a_missing_address_says_who_generates_it(self) -> None:
        with pytest.raises(SettingsError, match=r"railyard:solanaPayTo is missing.*\./railyard up generates it"):
            Settings.from_mapping({})

    def test_a_fee_above_the_largest_payment_is_refused(self) -> None:
        said = problems_of(maxPaymentMsat=1000, maxFeeMsat=1001)["railyard:maxFeeMsat"]
        assert "is 1001, more than railyard:maxPaymentMsat, which is 1000" in said

    def test_two_parts_with_one_port_are_refused(self) -> None:
        said = problems_of(ports={"redis": 24000, "webBlue": 24000})
        assert said["railyard:ports.webBlue"].startswith("railyard:ports.webBlue is 24000, which redis has.")

    def test_ports_that_are_no_map(self) -> None:
        assert "must be a map of names to port numbers" in problems_of(ports="all")["railyard:ports"]


class TestLists:
    def test_what_is_generated_is_what_the_stack_needs(self) -> None:
        kinds = {value.key: value.kind for value in GENERATED}
        assert len(kinds) == len(GENERATED) == 19
        assert kinds["bootstrapAdminKey"] is SecretKind.BOOTSTRAP_KEY
        assert kinds["solanaMint"] is SecretKind.SOLANA_KEYPAIR
        assert [value.key for value in GENERATED if not value.secret] == ["solanaPayTo"]

    def test_every_setting_is_described(self) -> None:
        rows = describe()
        assert all(description for *_, description in rows)
        assert ("railyard:maxFeeMsat", "int", "50000") in [row[:3] for row in rows]

    def test_the_project_file_declares_the_same_defaults(self) -> None:
        declared = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())["config"]
        wanted = {key.removeprefix("railyard:"): default for key, _, default, _ in describe()}
        shown = {key: entry["default"] for key, entry in declared.items()}
        assert {
            key: ", ".join(map(str, default)) if isinstance(default, list) else str(default)
            for key, default in shown.items()
        } == {key: default for key, default in wanted.items() if key in declared}
        assert set(declared) == {key for key in wanted if "." not in key} - {"solanaPayTo", "aws:region"}

    def test_a_default_is_of_the_type_declared_for_it(self) -> None:
        declared = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())["config"]
        types = {"string": str, "integer": int, "boolean": bool, "array": list}
        wrong = [key for key, entry in declared.items() if type(entry["default"]) is not types[entry["type"]]]
        assert not wrong, "no engine runs a project that declares these"

    def test_every_default_is_taken_when_an_engine_hands_it_over_as_text(self) -> None:
        declared = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())["config"]
        texts = {
            key: entry["default"] if isinstance(entry["default"], str | list) else json.dumps(entry["default"])
            for key, entry in declared.items()
            if entry["default"]
        }
        Settings.from_mapping({"solanaPayTo": PAY_TO, **texts})

    def test_the_generated_files_are_fresh(self) -> None:
        for path, text in generated_files(CHECKOUT).items():
            assert path.read_text() == text, f"{path.name} is stale: run `python -m components.settings`"
