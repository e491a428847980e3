"""Passphrase secrets are those of the Pulumi CLI, whose ciphertexts stand here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pulumi_embedded.errors import SecretsError
from pulumi_embedded.state.secrets import PassphraseCrypter, read_passphrase

CLI_STATE = "v1:S0VwTkKABfw=:v1:vmupHvMrW/r3wiry:TvN1ocdBPrcKKkWyCtiG9q2+L40E2w=="
CLI_CIPHERTEXT = "v1:Qve7F4YLHHGqut+O:RkEc4zuIzkHb+ifsrRKC3yrPuHjG0Q=="


def test_a_ciphertext_of_the_cli_is_decrypted() -> None:
    assert PassphraseCrypter(CLI_STATE, lambda: "pw").decrypt(CLI_CIPHERTEXT) == "s3cret"


def test_what_is_encrypted_is_decrypted_by_another_crypter_of_the_same_state() -> None:
    crypter = PassphraseCrypter.create("häßlich")
    ciphertext = crypter.encrypt("größe")
    assert PassphraseCrypter(crypter.state, lambda: "häßlich").decrypt(ciphertext) == "größe"
    assert crypter.encrypt("größe") != ciphertext
    assert "größe" not in ciphertext


def test_a_wrong_passphrase_is_told_in_one_sentence() -> None:
    with pytest.raises(SecretsError, match=r"^incorrect passphrase, please set PULUMI_CONFIG_PASSPHRASE .*$") as caught:
        PassphraseCrypter(CLI_STATE, lambda: "wrong").decrypt(CLI_CIPHERTEXT)
    assert "wrong" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("state", ["", "v2:a:b", "v1:###:v1:a:b", "v1:S0VwTkKABfw="])
def test_a_damaged_salt_is_an_error_of_ours(state: str) -> None:
    with pytest.raises(SecretsError, match="damaged"):
        PassphraseCrypter(state, lambda: "pw").decrypt(CLI_CIPHERTEXT)


@pytest.mark.parametrize("value", ["", "v1:a", "v1:!!:??", "v1:QQ==:QQ==", "v2:vmupHvMrW/r3wiry:TvN1"])
def test_a_damaged_ciphertext_is_an_error_of_ours(value: str) -> None:
    with pytest.raises(SecretsError, match=r"damaged|decrypted"):
        PassphraseCrypter(CLI_STATE, lambda: "pw").decrypt(value)


def test_the_key_is_not_derived_until_it_is_needed() -> None:
    def never() -> str:
        raise AssertionError("the passphrase was asked for")

    assert PassphraseCrypter(CLI_STATE, never).state == CLI_STATE


def test_the_passphrase_comes_from_the_variable_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from file\n")
    both = {"PULUMI_CONFIG_PASSPHRASE": "", "PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}
    assert read_passphrase(both) == ""
    assert read_passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}) == "from file"


def test_a_missing_passphrase_and_a_missing_file_say_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="must be set with PULUMI_CONFIG_PASSPHRASE or"):
        read_passphrase({})
    with pytest.raises(SecretsError, match="unable to read PULUMI_CONFIG_PASSPHRASE_FILE"):
        read_passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "none")})


def test_every_secret_of_a_state_that_the_cli_wrote_is_readable() -> None:
    text = (Path(__file__).parent / "data" / "checkpoint.json").read_text()
    crypter = PassphraseCrypter(CLI_STATE, lambda: "pw")
    found = [json.loads(crypter.decrypt(value)) for value in _ciphertexts(json.loads(text))]
    assert "s3cret" in found
    assert len(found) >= 8


def _ciphertexts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [value["ciphertext"]] if "ciphertext" in value else [x for v in value.values() for x in _ciphertexts(v)]
    return [x for v in value for x in _ciphertexts(v)] if isinstance(value, list) else []
