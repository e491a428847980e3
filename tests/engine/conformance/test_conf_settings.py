"""Stack settings, as people write them by hand and as commands find them."""

from __future__ import annotations

import json

import pytest

from tests.engine.conformance.conf_harness import Stack

SHOW = 'pulumi.export("v", pulumi.Config().get("v")); pulumi.export("all", pulumi.Config().get_object("tree"))\n'


def test_a_key_without_a_namespace_is_the_projects(stack: Stack) -> None:
    """In the stack's own file and in one that `--config-file` names; a command that saves keeps its meaning."""
    settings = stack.folder / "Pulumi.test.yaml"
    settings.write_text(settings.read_text() + "config:\n  v: bare # kept\n  tree:\n    a: [1]\n")
    stack.up(SHOW)
    assert stack.outputs() == {"v": "bare", "all": {"a": [1]}}
    assert stack.pulumi("config", "set", "w", "more").code == 0
    other = stack.folder / "other.yaml"
    other.write_text(settings.read_text().replace("bare", "elsewhere"))
    stack.up(None, "--config-file", str(other))
    assert stack.outputs()["v"] == "elsewhere"
    assert json.loads(stack.pulumi("config", "--json").out)["conf:v"]["value"] == "bare"


@pytest.mark.parametrize("key", ["a:b:c", "a:b:c:d", ""])
def test_a_key_that_cannot_be_is_named(stack: Stack, key: str) -> None:
    """In one sentence, by commands and programs alike."""
    run = stack.pulumi("config", "set", key, "v")
    assert run.code != 0
    assert "could not parse" in run.text
    assert "Traceback" not in run.text
