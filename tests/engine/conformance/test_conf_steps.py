"""The rarer kinds of step: what is read becomes managed and back, what is only read goes, what is protected stays."""

from __future__ import annotations

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe

FOUND = """
class Found(pulumi.CustomResource):
    out: pulumi.Output[str]
    def __init__(self, name, id):
        super().__init__("probe:index:Thing", name, {"out": None}, Opts(id=id))
"""


def _theirs(probe: Probe, name: str) -> None:
    probe.cloud[name] = {"inputs": {"value": 5}, "outputs": {"value": 5, "out": name}}


def test_what_was_managed_can_be_read_instead(stack: Stack, probe: Probe) -> None:
    """The managed one is deleted after the other was read."""
    _theirs(probe, "theirs")
    stack.up('Thing("a", value=1)')
    probe.forget()
    run = stack.up(FOUND + 'Found("a", "theirs")')
    assert run.ops()["a"] == ["read-replacement", "replace", "delete-replaced"]
    assert probe.methods("read", "delete") == ["read a", "delete a"]
    assert sorted(probe.cloud) == ["theirs"]
    assert stack.state("a")["external"] is True
    stack.settled()


def test_what_was_read_can_be_made_instead(stack: Stack, probe: Probe) -> None:
    """The one of others is forgotten, never deleted."""
    _theirs(probe, "theirs")
    stack.up(FOUND + 'Found("a", "theirs")')
    probe.forget()
    run = stack.up('Thing("a", value=1)')
    assert run.ops()["a"] == ["create-replacement", "replace", "discard-replaced"]
    assert probe.methods() == ["create a"]
    assert "theirs" in probe.cloud
    assert "external" not in stack.state("a")
    stack.settled()


def test_what_is_read_no_longer_is_forgotten(stack: Stack, probe: Probe) -> None:
    """It was never ours to delete."""
    _theirs(probe, "theirs")
    stack.up(FOUND + 'Found("a", "theirs")')
    run = stack.up("")
    assert run.ops()["a"] == ["discard"]
    assert probe.methods() == []
    assert stack.names() == []


def test_another_id_is_read_as_another_resource(stack: Stack, probe: Probe) -> None:
    """Its outputs are the other one's then."""
    _theirs(probe, "one")
    _theirs(probe, "two")
    stack.up(FOUND + 'pulumi.export("out", Found("a", "one").out)')
    stack.up(FOUND + 'pulumi.export("out", Found("a", "two").out)')
    assert stack.outputs() == {"out": "two"}
    assert stack.state("a")["id"] == "two"
    assert probe.methods() == []


def test_what_is_read_with_a_refresh_is_read_again(stack: Stack, probe: Probe) -> None:
    """And shows what others changed."""
    _theirs(probe, "theirs")
    program = FOUND + 'pulumi.export("out", Found("a", "theirs").out)'
    stack.up(program)
    probe.cloud["theirs"]["outputs"]["out"] = "moved"
    stack.up(program)
    assert stack.outputs() == {"out": "moved"}


def test_destroy_leaves_what_was_only_read(stack: Stack, probe: Probe) -> None:
    """Only the record goes."""
    _theirs(probe, "theirs")
    stack.up(FOUND + 'f = Found("a", "theirs"); Thing("b", value=f.out)')
    stack.destroy()
    assert probe.methods("delete") == ["delete b"]
    assert list(probe.cloud) == ["theirs"]
    assert stack.names() == []


def test_protected_resources_can_be_excluded_from_a_destroy(stack: Stack, probe: Probe) -> None:
    """With all that they need."""
    stack.up('a = Thing("a"); Thing("b", value=a.out, opts=Opts(protect=True)); Thing("c")')
    probe.forget()
    run = stack.destroy("--exclude-protected", "--remove")
    assert probe.methods() == ["delete c"]
    assert sorted(stack.names()) == ["a", "b"]
    assert "All unprotected resources were destroyed. There are still" in run.out
    assert "There were no unprotected resources to destroy" in stack.destroy("--exclude-protected").out


def test_a_replacement_goes_through_a_chain_of_dependents(stack: Stack, probe: Probe) -> None:
    """Each waits for the one before it to be made, and the old ones go in the opposite order."""
    program = """
    a = Thing("a", value={value}, replaceKeys=["value"], out="{value}")
    b = Thing("b", up=a.out, replaceKeys=["up"], out=a.out)
    c = Thing("c", up=b.out, replaceKeys=["up"])
    """
    stack.up(program.format(value=1))
    probe.forget()
    stack.up(program.format(value=2))
    assert probe.methods() == ["create a", "create b", "create c", "delete c", "delete b", "delete a"]
    stack.settled()


def test_a_component_may_depend_and_be_depended_on(stack: Stack, probe: Probe) -> None:
    """Its children are made after what it depends on, and before what depends on it."""
    stack.up(
        """
        first = Thing("first")
        g = Group("g", opts=Opts(depends_on=[first]))
        child = Thing("child", opts=Opts(parent=g, depends_on=[first]))
        g.register_outputs({})
        Thing("last", opts=Opts(depends_on=[g]))
        """
    )
    assert probe.methods() == ["create first", "create child", "create last"]
    probe.forget()
    stack.destroy()
    assert probe.methods() == ["delete last", "delete child", "delete first"]


def test_secrets_in_nested_exports_keep_their_place(stack: Stack) -> None:
    """A secret inside a list inside a map is sealed in the state, and hidden where outputs are shown."""
    stack.up(
        """
        hush = pulumi.Output.secret("hush")
        pulumi.export("nested", {"open": 1, "list": ["a", {"deep": hush}]})
        pulumi.export("whole", pulumi.Output.secret({"a": ["b"]}))
        """
    )
    assert stack.outputs() == {"nested": {"open": 1, "list": ["a", {"deep": "hush"}]}, "whole": {"a": ["b"]}}
    assert "hush" not in str(stack.export())
    hidden = stack.pulumi("stack", "output", "--json")
    assert "hush" not in hidden.text
    stack.settled()


def test_the_state_of_a_stack_is_renamed_with_it(stack: Stack, probe: Probe) -> None:
    """All URNs follow, and nothing is planned."""
    stack.up('a = Thing("a"); Thing("b", value=a.out)')
    assert stack.pulumi("stack", "rename", "other").code == 0
    assert all("urn:pulumi:other::" in state["urn"] for state in stack.states())
    probe.forget()
    stack.settled()
    assert probe.methods() == []


def test_the_history_tells_what_each_update_did(stack: Stack) -> None:
    """Kind, result, message and counts, the last one first."""
    stack.up('Thing("a")', "--message", "first")
    stack.up('Thing("a", failUpdate="no", value=1)', fails=True)
    stack.refresh()
    run = stack.pulumi("stack", "history", "--json")
    import json

    found = json.loads(run.out)
    assert [(item["kind"], item["result"]) for item in found] == [
        ("refresh", "succeeded"),
        ("update", "failed"),
        ("update", "succeeded"),
    ]
    assert found[-1]["message"] == "first"
    assert found[-1]["resourceChanges"] == {"create": 2}


def test_tags_of_a_stack(stack: Stack) -> None:
    """Set, listed, read and removed."""
    assert stack.pulumi("stack", "tag", "set", "owner", "me").code == 0
    assert stack.pulumi("stack", "tag", "get", "owner").out.strip() == "me"
    assert "owner" in stack.pulumi("stack", "tag", "ls").out
    assert stack.pulumi("stack", "tag", "rm", "owner").code == 0
    assert "owner" not in stack.pulumi("stack", "tag", "ls").out


def test_an_update_runs_from_a_folder_below_the_project(stack: Stack) -> None:
    """Pulumi.yaml is looked for upwards."""
    stack.up('Thing("a")')
    (stack.folder / "deep" / "er").mkdir(parents=True)
    run = stack.pulumi("--cwd", "deep/er", "preview", "--expect-no-changes")
    assert run.code == 0, run.text


def test_a_protected_dependent_stops_a_replacement_that_must_delete_first(stack: Stack, probe: Probe) -> None:
    """It would have to be deleted too; nothing is."""
    program = """
    a = Thing("a", value={value}, replaceKeys=["value"], deleteFirst=True)
    Thing("b", up=a.out, replaceKeys=["up"], opts=Opts(protect=True))
    """
    stack.up(program.format(value=1))
    probe.forget()
    run = stack.up(program.format(value=2), fails=True)
    assert "unable to replace resource" in run.errors
    assert probe.methods() == []
    assert sorted(stack.names()) == ["a", "b"]


def test_what_is_imported_may_not_be_replaced_while_the_program_says_so(stack: Stack, probe: Probe) -> None:
    """The ID in the program and a new resource contradict each other."""
    _theirs(probe, "theirs")
    program = 'Thing("a", value={}, out="theirs", replaceKeys=["value"], opts=Opts(import_="theirs"))'
    stack.up('Thing("a", value=5, out="theirs", opts=Opts(import_="theirs"))')
    probe.forget()
    run = stack.up(program.format(6), fails=True)
    assert "previously-imported resources that still specify an ID may not be replaced" in run.errors
    assert probe.methods() == []


def test_a_refresh_with_the_program_reads_what_the_program_no_longer_has(stack: Stack, probe: Probe) -> None:
    """And leaves alone what is not a target."""
    stack.up('Thing("a", value=1); Thing("b", value=1)')
    for found in probe.cloud.values():
        found["outputs"]["value"] = found["inputs"]["value"] = 7
    stack.write("")
    stack.refresh("--run-program", "--target", stack.urn("a"))
    assert stack.state("a")["inputs"]["value"] == 7
    assert stack.state("b")["inputs"]["value"] == 1
    stack.refresh("--run-program")
    assert stack.state("b")["inputs"]["value"] == 7
    assert probe.methods("delete") == []
