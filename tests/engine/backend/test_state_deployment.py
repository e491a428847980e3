"""Deployments are read and written as the CLI writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_embedded.errors import SecretsError, StateError, UnsupportedError
from pulumi_embedded.state.deployment import (
    Deployment,
    open_states,
    parse_json,
    seal_states,
    verify_integrity,
)
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.state.sealing import SECRET_SIG, SIG, Sealer, mask, reveal
from pulumi_embedded.state.secrets import PassphraseCrypter

CLI_FILE = Path(__file__).parent / "data" / "checkpoint.json"
ROOT = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"


class Reversing:
    """A crypter whose ciphertexts differ at each call."""

    state = "v1:x:y"

    def __init__(self) -> None:
        self.count = 0

    def encrypt(self, plaintext: str) -> str:
        self.count += 1
        return f"{self.count}|{plaintext[::-1]}"

    def decrypt(self, ciphertext: str) -> str:
        return ciphertext.partition("|")[2][::-1]


def cli_deployment() -> Deployment:
    data = json.loads(CLI_FILE.read_text())
    return Deployment.from_json(data["checkpoint"]["latest"], data["version"])


def thing(name: str, **extra: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::proj::test:index:Thing::{name}"
    return {"urn": urn, "custom": True, "id": name, "type": "test:index:Thing", **extra}


def secret(value: Any) -> dict[str, Any]:
    return {SIG: SECRET_SIG, "value": value}


class TestRoundTrip:
    def test_a_state_of_the_cli_is_written_back_byte_for_byte(self) -> None:
        original = json.loads(CLI_FILE.read_text())["checkpoint"]["latest"]
        deployment = cli_deployment()
        sealer = Sealer(PassphraseCrypter(deployment.secrets_providers["state"]["salt"], lambda: "pw"))  # type: ignore[index]
        states, pending = open_states(deployment, sealer)
        again = seal_states(deployment, states, pending, sealer, "2026-01-01T00:00:00Z").to_json()
        for kept in ("resources", "secrets_providers", "pending_operations"):
            assert again.get(kept) == original.get(kept)

    def test_keys_that_this_version_does_not_know_are_kept(self) -> None:
        data = thing("a", someday={"x": 1})
        assert ResourceState.from_json(data).to_json() == data

    def test_empty_values_are_left_out_and_false_replacement_triggers_are_not(self) -> None:
        data = ResourceState(urn="urn:pulumi:s::p::t::n", type="t", replacement_trigger=0).to_json()
        assert data == {"urn": "urn:pulumi:s::p::t::n", "custom": False, "type": "t", "replacementTrigger": 0}

    def test_a_plain_deployment_has_version_3_and_one_with_hooks_version_4(self) -> None:
        assert Deployment(resources=[thing("a")]).envelope()["version"] == 3
        hooked = Deployment(resources=[thing("a", resourceHooks={"beforeCreate": ["h"]})]).envelope()
        assert (hooked["version"], hooked["features"]) == (4, ["hooks"])


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=4), inner, max_size=3)
        | inner.map(secret)
    ),
    max_leaves=12,
)


class TestSecrets:
    @given(values)
    def test_whatever_is_sealed_opens_to_itself(self, value: Any) -> None:
        crypter = Reversing()
        assert Sealer(crypter).open(json.loads(json.dumps(Sealer(crypter).seal(value, "p"))), "p") == value

    @given(values)
    def test_masking_and_sealing_leave_no_secret_readable(self, value: Any) -> None:
        planted = secret({"deep": ["PLANTED-SECRET", value]})
        assert "PLANTED-SECRET" not in json.dumps(mask({"a": [planted]}))
        assert "PLANTED-SECRET" not in json.dumps(Sealer(Reversing()).seal({"a": [planted]}, "p"))

    def test_an_unchanged_secret_at_its_place_keeps_its_ciphertext(self) -> None:
        crypter = Reversing()
        first = Sealer(crypter).seal({"a": secret("x")}, "urn.inputs")
        later = Sealer(crypter)
        opened = later.open(first, "urn.inputs")
        assert later.seal(opened, "urn.inputs") == first
        assert later.seal({"b": secret("x")}, "urn.inputs")["b"] != first["a"]
        assert later.seal({"a": secret("y")}, "urn.inputs") != first

    def test_showing_secrets_writes_plaintext_that_imports_again(self) -> None:
        shown = Sealer(None).seal({"a": secret({"b": [1]})}, "p", show=True)
        assert shown["a"]["plaintext"] == '{"b":[1]}'
        assert reveal(Sealer(None).open(shown, "p")) == {"a": {"b": [1]}}

    def test_secrets_within_a_secret_are_not_encrypted_twice(self) -> None:
        crypter = Reversing()
        sealed = Sealer(crypter).seal(secret({"in": secret("x")}), "p")
        assert crypter.count == 1
        assert Sealer(crypter).open(sealed, "p") == secret({"in": secret("x")})

    def test_a_state_without_a_provider_cannot_hold_secrets(self) -> None:
        with pytest.raises(SecretsError, match="no secrets provider"):
            Sealer(None).seal(secret("x"), "p")
        with pytest.raises(SecretsError, match="names no secrets provider"):
            Sealer(None).open({SIG: SECRET_SIG, "ciphertext": "v1:a:b"}, "p")

    @pytest.mark.parametrize("broken", [{}, {"plaintext": "1", "ciphertext": "x"}, {"plaintext": "{"}])
    def test_a_damaged_secret_is_told_with_its_place(self, broken: dict[str, str]) -> None:
        with pytest.raises(StateError, match=r"urn\.inputs"):
            Sealer(Reversing()).open({SIG: SECRET_SIG, **broken}, "urn.inputs")


class TestIntegrity:
    def test_a_state_of_the_cli_is_whole(self) -> None:
        verify_integrity(cli_deployment())

    @pytest.mark.parametrize(
        "resources",
        [
            [thing("a"), thing("a")],
            [thing("b", dependencies=[thing("a")["urn"]]), thing("a")],
            [thing("a", parent=ROOT)],
            [thing("a", propertyDependencies={"x": [ROOT]})],
            [thing("a", deletedWith=ROOT)],
            [thing("a", provider="urn:pulumi:dev::proj::pulumi:providers:x::default::id")],
            [{"urn": "", "type": "t"}],
        ],
        ids=["twice", "late dependency", "no parent", "no property", "no deleted-with", "no provider", "no urn"],
    )
    def test_resources_that_contradict_each_other_are_refused(self, resources: list[dict[str, Any]]) -> None:
        with pytest.raises(StateError):
            verify_integrity(Deployment(resources=resources))

    def test_a_resource_waiting_for_deletion_may_share_its_name(self) -> None:
        verify_integrity(Deployment(resources=[thing("a"), thing("a", delete=True)]))


class TestBadInput:
    @pytest.mark.parametrize("version", [None, "3", True, 2, 5])
    def test_versions_of_another_time_are_refused(self, version: Any) -> None:
        with pytest.raises(StateError):
            Deployment.from_json({}, version)

    def test_features_that_the_engine_does_not_know_name_the_cli(self) -> None:
        with pytest.raises(UnsupportedError, match="Pulumi CLI"):
            Deployment.from_json({}, 4, ["views"])

    @pytest.mark.parametrize("data", [[], "x", {"resources": {}}, {"resources": [1]}, {"manifest": 1}])
    def test_the_wrong_form_is_damage(self, data: Any) -> None:
        with pytest.raises(StateError, match="damaged"):
            Deployment.from_json(data, 3)

    @pytest.mark.parametrize("data", [{}, {"urn": "u"}, {"urn": "u", "type": "t", "custom": False, "id": "x"}])
    def test_a_resource_without_what_it_needs_is_refused(self, data: dict[str, Any]) -> None:
        with pytest.raises(StateError):
            ResourceState.from_json(data)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("outputs", [1]), ("dependencies", 5), ("dependencies", [5]), ("propertyDependencies", {"a": 5}),
            ("propertyDependencies", {"a": [{}]}), ("deletedWith", [1]), ("protect", "yes"), ("aliases", [{"a": 1}]),
            ("customTimeouts", [1]), ("customTimeouts", {"create": "x"}), ("resourceHooks", [1]), ("initErrors", 5),
            ("additionalSecretOutputs", 7), ("created", 5), ("urn", 5), ("type", [1]),
        ],
    )  # fmt: skip
    def test_a_wrong_kind_of_value_is_damage_that_names_it(self, key: str, value: Any) -> None:
        resource = thing("a") | {key: value}
        with pytest.raises(StateError, match=key):
            Deployment.from_json({"resources": [resource]}, 3)
        with pytest.raises(StateError, match=key):
            Deployment.from_json({"pending_operations": [{"type": "creating", "resource": resource}]}, 3)

    def test_a_name_that_is_no_urn_is_damage(self) -> None:
        with pytest.raises(StateError, match="no URN"):
            verify_integrity(Deployment(resources=[thing("a") | {"urn": "nope"}]))

    def test_json_that_is_nested_beyond_reason_is_damage_not_a_crash(self) -> None:
        with pytest.raises(StateError, match="not valid JSON"):
            parse_json(b"[" * 100_000, "the file")
