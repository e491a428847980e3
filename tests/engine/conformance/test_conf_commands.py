"""What commands ask of the engine: imports, providers by path, previews as JSON, history of one stack after another."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe

# To the shell the second line starts Python, to Python it is a string: a "#!" cannot name a path with a space.
PLUGIN = """
#!/bin/sh
"exec" "{python}" "$0" "$@"
import sys
sys.path.insert(0, {root!r})
import threading
from tests.engine.conformance.conf_probe import Probe, serving
with serving(Probe()) as port:
    print(port, flush=True)
    print("chatter of the plugin", file=sys.stderr, flush=True)
    threading.Event().wait()
"""


def _plugin(stack: Stack, name: str) -> Path:
    """Write a provider binary into the project."""
    folder = stack.folder / "plugins"
    folder.mkdir()
    path = folder / f"pulumi-resource-{name}"
    root = str(Path(__file__).parents[3])
    path.write_text(textwrap.dedent(PLUGIN).strip().format(python=sys.executable, root=root))
    path.chmod(0o755)
    return folder


def test_a_provider_named_by_path_in_the_project(stack: Stack) -> None:
    """`plugins.providers` in Pulumi.yaml; its chatter is not shown."""
    _plugin(stack, "local")
    settings = json.loads((stack.folder / "Pulumi.yaml").read_text())
    settings["plugins"] = {"providers": [{"name": "local", "path": "plugins"}]}
    (stack.folder / "Pulumi.yaml").write_text(json.dumps(settings))
    run = stack.up('a = Thing("a", kind="local:index:Thing", value=1); pulumi.export("out", a.out)')
    assert stack.outputs() == {"out": "made"}
    assert "chatter" not in run.text
    stack.settled()
    stack.destroy()
    assert stack.names() == []


def test_a_provider_found_on_path(stack: Stack) -> None:
    """`pulumi-resource-<name>` anywhere on PATH."""
    import os

    folder = _plugin(stack, "onpath")
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    stack.up('Thing("a", kind="onpath:index:Thing")', PATH=path)
    assert stack.names() == ["a"]


def test_import_command_adopts_a_resource(stack: Stack, probe: Probe) -> None:
    """Read, protected, and the same as the program's from then on."""
    stack.up("")
    probe.cloud["there"] = {"inputs": {"value": 1}, "outputs": {"value": 1, "out": "made"}}
    run = stack.pulumi("import", "probe:index:Thing", "a", "there", "--yes", "--skip-preview", "--generate-code=false")
    assert run.code == 0, run.text
    state = stack.state("a")
    assert state["id"] == "there"
    assert state["protect"] is True
    assert state["inputs"] == {"value": 1}
    assert "importID" not in state
    stack.up('Thing("a", value=1, opts=Opts(protect=True))')
    assert probe.methods() == []
    stack.settled()


def test_import_of_what_does_not_exist_fails(stack: Stack) -> None:
    """And changes nothing."""
    stack.up("")
    run = stack.pulumi(
        "import", "probe:index:Thing", "a", "nowhere", "--yes", "--skip-preview", "--generate-code=false"
    )
    assert run.code != 0
    assert "resource 'nowhere' does not exist" in run.text
    assert stack.names() == []


def test_an_imported_resource_of_the_same_id_is_left_alone(stack: Stack, probe: Probe) -> None:
    """Importing twice is no error."""
    probe.cloud["there"] = {"inputs": {"value": 1}, "outputs": {"value": 1, "out": "made"}}
    arguments = ("import", "probe:index:Thing", "a", "there", "--yes", "--skip-preview", "--generate-code=false")
    assert stack.pulumi(*arguments).code == 0
    before = stack.state("a")
    assert stack.pulumi(*arguments).code == 0
    assert stack.state("a")["id"] == before["id"]


def test_preview_as_json_lists_steps(stack: Stack) -> None:
    """`preview --json` has a step a resource and the summary."""
    stack.write('Thing("a"); Thing("b")')
    run = stack.pulumi("preview", "--json")
    assert run.code == 0, run.text
    digest = json.loads(run.out)
    assert {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in digest["steps"] if "Thing" in step["urn"]} == {
        "a": "create",
        "b": "create",
    }
    assert digest["changeSummary"] == {"create": 3}


def test_expect_no_changes_fails_when_there_are_some(stack: Stack) -> None:
    """In previews and updates."""
    stack.write('Thing("a")')
    assert stack.pulumi("preview", "--expect-no-changes").code != 0
    stack.up()
    assert stack.pulumi("preview", "--expect-no-changes").code == 0


def test_destroy_preview_only_changes_nothing(stack: Stack, probe: Probe) -> None:
    """`--preview-only` of destroy and refresh."""
    stack.up('Thing("a")')
    probe.forget()
    run = stack.pulumi("destroy", "--preview-only")
    assert run.code == 0, run.text
    assert probe.methods() == []
    assert stack.names() == ["a"]


def test_a_deleted_state_entry_is_made_again(stack: Stack, probe: Probe) -> None:
    """`state delete` forgets, the next update makes anew."""
    stack.up('Thing("a"); Thing("b")')
    assert stack.pulumi("state", "delete", stack.urn("a"), "--yes").code == 0
    assert stack.names() == ["b"]
    probe.forget()
    stack.up()
    assert probe.methods() == ["create a"]


def test_a_renamed_state_entry_matches_the_new_name(stack: Stack, probe: Probe) -> None:
    """`state rename` instead of an alias."""
    stack.up('a = Thing("a"); Thing("user", value=a.out)')
    assert stack.pulumi("state", "rename", stack.urn("a"), "z", "--yes").code == 0
    probe.forget()
    stack.up('a = Thing("z"); Thing("user", value=a.out)')
    assert probe.methods() == []


def test_a_tainted_resource_is_replaced(stack: Stack, probe: Probe) -> None:
    """`state taint` asks for it once."""
    stack.up('Thing("a"); Thing("b")')
    assert stack.pulumi("state", "taint", stack.urn("a"), "--yes").code == 0
    probe.forget()
    stack.up()
    assert probe.methods() == ["create a", "delete a"]
    assert "taint" not in stack.state("a")
    stack.settled()


def test_unprotecting_in_the_state_lets_a_resource_go(stack: Stack) -> None:
    """`state unprotect`."""
    stack.up('Thing("a", opts=Opts(protect=True))')
    assert stack.pulumi("state", "unprotect", stack.urn("a"), "--yes").code == 0
    stack.up("")
    assert stack.names() == []


def test_an_exported_deployment_can_be_imported(stack: Stack, probe: Probe) -> None:
    """`stack export` and `stack import` round trip, secrets included."""
    stack.up('Thing("a", password=pulumi.Output.secret("hush")); pulumi.export("s", pulumi.Output.secret("x"))')
    exported = stack.pulumi("stack", "export").out
    path = stack.folder / "exported.json"
    path.write_text(exported)
    assert stack.pulumi("state", "delete", stack.urn("a"), "--yes").code == 0
    assert stack.pulumi("stack", "import", "--file", str(path)).code == 0
    probe.forget()
    stack.settled()
    assert probe.methods() == []


def test_two_stacks_of_one_project_do_not_touch_each_other(stack: Stack, probe: Probe) -> None:
    """Each has its own resources."""
    stack.up('Thing("a")')
    assert stack.pulumi("stack", "init", "second").code == 0
    assert stack.up().changes == {"create": 2}
    stack.destroy()
    assert stack.pulumi("stack", "select", "test").code == 0
    assert stack.names() == ["a"]
    assert len(probe.cloud) == 1
