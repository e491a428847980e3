"""Random values are made once, stay as they are, and never show where they are secret."""

from __future__ import annotations

import base64
import json
import random

import bcrypt

from providers.random.provider import RandomProvider
from tests.providers.conftest import StackOf

PROGRAM = """
import pulumi_random as rnd
password = rnd.RandomPassword("password", length={length}, min_numeric=3, override_special="-_", keepers={keepers})
pulumi.export("password", password.result)
pulumi.export("hash", password.bcrypt_hash)
pulumi.export("id", rnd.RandomId("id", byte_length=4, prefix="p-").hex)
pulumi.export("bytes", rnd.RandomBytes("bytes", length=8).base64)
pulumi.export("uuid", rnd.RandomUuid("uuid").result)
pulumi.export("text", rnd.RandomString("text", length=6, special=False, upper=False).result)
pulumi.export("number", rnd.RandomInteger("number", min=3, max=5).result)
"""
ONCE = PROGRAM.format(length=20, keepers={})


def test_values_are_made_once_and_stay(stack_of: StackOf) -> None:
    stack = stack_of(RandomProvider())
    stack.up(ONCE)
    made = stack.outputs()
    stack.refresh()
    assert stack.up().changes == {}
    assert stack.outputs() == made
    password = made["password"]
    assert len(password) == 20
    assert sum(character.isdigit() for character in password) >= 3
    assert {character for character in password if not character.isalnum()} <= {"-", "_"}
    assert made["hash"].startswith("$2a$10$")
    assert bcrypt.checkpw(password.encode(), made["hash"].encode())
    assert not bcrypt.checkpw(b"another", made["hash"].encode())
    assert made["id"].startswith("p-")
    assert len(bytes.fromhex(made["id"][2:])) == 4
    assert len(base64.b64decode(made["bytes"])) == 8
    assert made["uuid"][14] == "4"
    assert made["text"].isalnum()
    assert made["text"] == made["text"].lower()
    assert 3 <= made["number"] <= 5


def test_a_changed_input_makes_a_new_value_and_says_so_first(stack_of: StackOf) -> None:
    stack = stack_of(RandomProvider())
    stack.up(ONCE)
    before = stack.outputs()
    changed = PROGRAM.format(length=20, keepers={"rotated": "2026"})
    assert stack.preview(changed).changes == {"replace": 1}
    stack.up()
    after = stack.outputs()
    assert after["password"] != before["password"]
    its = {"password": "", "hash": ""}
    assert after["hash"] != before["hash"]
    assert {**after, **its} == {**before, **its}


def test_secrets_reach_neither_state_nor_screen(stack_of: StackOf) -> None:
    # A generator that is not the system's gives the values away to the test alone.
    stack = stack_of(RandomProvider(entropy=random.Random(7)))
    shown = stack.up(ONCE).text
    outputs = stack.outputs()
    for secret in (outputs["password"], outputs["bytes"]):
        assert secret not in json.dumps(stack.export())
        assert secret not in shown


def test_what_cannot_be_made_is_refused_by_name(stack_of: StackOf) -> None:
    stack = stack_of(RandomProvider())
    refused = stack.up(PROGRAM.format(length=2, keepers={}), fails=True).errors
    assert "property length" in refused
    assert "must be at least 3, the sum of the minima" in refused
    pet = 'import pulumi_random as rnd\nrnd.RandomPet("pet")\n'
    assert "does not know the type random:index/randomPet:RandomPet" in stack.up(pet, fails=True).errors
