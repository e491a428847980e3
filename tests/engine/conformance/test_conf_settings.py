"""Stack settings, as people write them by hand and as commands find them."""

from __future__ import annotations

import json
import sys

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


@pytest.mark.parametrize("key", ["a:b:c", "a:b:c:d"])
def test_a_key_that_cannot_be_is_named(stack: Stack, key: str) -> None:
    """In one sentence, by commands and programs alike."""
    run = stack.pulumi("config", "set", key, "v")
    assert run.code != 0
    assert "could not parse" in run.text
    assert "Traceback" not in run.text


def test_the_type_checker_of_the_runtime_options_runs_before_the_program(stack: Stack) -> None:
    """What it finds fails the update, in its own words, and the program is not started."""
    options = {"virtualenv": sys.prefix, "typechecker": "mypy"}
    (stack.folder / "Pulumi.yaml").write_text(
        json.dumps({"name": "conf", "runtime": {"name": "python", "options": options}})
    )
    main = stack.folder / "__main__.py"
    main.write_text("import sys\nnumber: int = 'text'\nprint('ran', file=sys.stderr)\n")
    run = stack.up(fails=True)
    assert "mypy failed: exit status 1" in run.errors
    assert "Incompatible types in assignment" in run.errors
    assert "ran" not in run.messages("info#err")
    main.write_text("number: int = 1\n")
    stack.up()


def test_a_secret_inside_a_structure_is_masked_in_what_the_program_prints(stack: Stack) -> None:
    """The secret alone, and the structure around it."""
    assert stack.pulumi("config", "set", "--path", "--secret", "tree.key", "hush-hush").code == 0
    assert stack.pulumi("config", "set", "--path", "tree.open", "said").code == 0
    run = stack.up('tree = pulumi.Config().require_object("tree"); print(tree); print(tree["key"] + "!")')
    assert "hush-hush" not in run.text + str(run.events)
    assert "'open': 'said'" in run.text
    assert "[secret]!" in run.text
