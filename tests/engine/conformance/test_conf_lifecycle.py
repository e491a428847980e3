"""Resources come, change, are replaced and go, in the right order and exactly once."""

from __future__ import annotations

import itertools

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import UNKNOWN, Probe

CHAIN = """
a = Thing("a", value=1)
b = Thing("b", value=a.out)
c = Thing("c", value=b.out)
pulumi.export("c", c.out)
"""


def test_creates_in_order_then_plans_nothing_then_destroys_in_reverse(stack: Stack, probe: Probe) -> None:
    """The whole life of a small stack."""
    run = stack.up(CHAIN)
    assert run.changes == {"create": 4}
    assert probe.methods() == ["create a", "create b", "create c"]
    assert stack.outputs() == {"c": "made"}
    probe.forget()
    again = stack.up()
    assert again.changes == {}
    assert probe.methods() == []
    stack.settled()
    gone = stack.destroy()
    assert gone.changes == {"delete": 4}
    assert probe.methods() == ["delete c", "delete b", "delete a"]
    assert stack.export().get("resources") is None
    assert probe.cloud == {}


def test_a_preview_makes_nothing_and_shows_unknowns(stack: Stack, probe: Probe) -> None:
    """Outputs of what does not exist yet are unknown to those that use them."""
    run = stack.preview(CHAIN)
    assert run.changes == {"create": 4}
    assert probe.methods() == []
    assert probe.of("check", "b").properties("news")["value"] == UNKNOWN
    assert probe.of("preview-create", "b").properties("properties")["value"] == UNKNOWN
    assert stack.export().get("resources") is None


def test_an_update_changes_in_place(stack: Stack, probe: Probe) -> None:
    """A changed input updates its resource alone, and the id stays."""
    stack.up('Thing("a", value=1); Thing("b", value=1)')
    before = stack.state("a")
    run = stack.up('Thing("a", value=2); Thing("b", value=1)')
    assert run.changes == {"update": 1}
    assert probe.methods("update") == ["update a"]
    after = stack.state("a")
    assert after["id"] == before["id"]
    assert after["inputs"]["value"] == 2
    assert after["created"] == before["created"]
    assert after["modified"] > before["modified"]
    assert run.metadata("a")["diffs"] == ["value"]


def test_a_removed_resource_is_deleted_after_everything_else(stack: Stack, probe: Probe) -> None:
    """Deletes come last."""
    stack.up('Thing("a", value=1); Thing("b", value=1)')
    probe.forget()
    run = stack.up('Thing("b", value=2)')
    assert run.ops() == {"b": ["update"], "a": ["delete"]}
    assert probe.methods() == ["update b", "delete a"]
    assert stack.names() == ["b"]


def test_a_replacement_creates_first_and_deletes_last(stack: Stack, probe: Probe) -> None:
    """Dependents move to the new resource before the old one goes."""
    program = """
    a = Thing("a", value={value}, replaceKeys=["value"], out="{value}")
    Thing("b", value=a.out)
    """
    stack.up(program.format(value=1))
    old = stack.state("a")["id"]
    probe.forget()
    run = stack.up(program.format(value=2))
    assert probe.methods() == ["create a", "update b", "delete a"]
    assert probe.of("delete", "a").request.id == old
    assert run.ops()["a"] == ["create-replacement", "replace", "delete-replaced"]
    assert run.changes == {"replace": 1, "update": 1}
    assert stack.names().count("a") == 1
    assert stack.state("a")["id"] != old
    stack.settled()


def test_a_replacement_that_must_delete_first_takes_its_dependents_along(stack: Stack, probe: Probe) -> None:
    """Dependents that would be replaced too are deleted before and made again after."""
    program = """
    a = Thing("a", value={value}, replaceKeys=["value"], deleteFirst=True)
    b = Thing("b", other=a.id, replaceKeys=["other"], deleteFirst=True)
    Thing("c", other=a.id)
    """
    stack.up(program.format(value=1))
    probe.forget()
    run = stack.up(program.format(value=2))
    assert probe.methods()[:3] == ["delete b", "delete a", "create a"]
    assert sorted(probe.methods()[3:]) == ["create b", "update c"]
    assert run.ops()["a"] == ["delete-replaced", "replace", "create-replacement"]
    assert run.ops()["b"][0] == "delete-replaced"
    stack.settled()


def test_the_delete_before_replace_option_beats_the_provider(stack: Stack, probe: Probe) -> None:
    """The program decides, both ways."""
    program = 'Thing("a", value={value}, replaceKeys=["value"], opts=Opts(delete_before_replace={first}))'
    stack.up(program.format(value=1, first=True))
    probe.forget()
    stack.up(program.format(value=2, first=True))
    assert probe.methods() == ["delete a", "create a"]
    probe.forget()
    stack.up(program.format(value=3, first=False).replace('["value"]', '["value"], deleteFirst=True'))
    assert probe.methods() == ["create a", "delete a"]


def test_a_diff_without_an_answer_compares_inputs(stack: Stack, probe: Probe) -> None:
    """A provider that does not know leaves it to the engine: changed inputs are an update."""
    program = 'Thing("a", diffUnknown=True, deep={{"list": [1, {value}]}})'
    stack.up(program.format(value=1))
    stack.settled()
    run = stack.up(program.format(value=2))
    assert run.changes == {"update": 1}
    assert run.metadata("a")["detailedDiff"] == {"deep.list[1]": {"diffKind": "update", "inputDiff": True}}


def test_a_change_the_provider_does_not_count_updates_the_state_alone(stack: Stack, probe: Probe) -> None:
    """The new inputs are kept, and nothing is called."""
    stack.up('Thing("a", note="x", sameWhen=["note"])')
    probe.forget()
    run = stack.up('Thing("a", note="y", sameWhen=["note"])')
    assert run.changes == {}
    assert probe.methods() == []
    assert stack.state("a")["inputs"]["note"] == "y"


def test_defaults_of_the_provider_stay_from_update_to_update(stack: Stack, probe: Probe) -> None:
    """What Check generated once is passed back to it, until the resource is replaced."""
    program = 'Thing("a", wantDefault=True, value={value}, replaceKeys=["{replacing}"])'
    stack.up(program.format(value=1, replacing="none"))
    first = stack.state("a")["inputs"]["default"]
    stack.up(program.format(value=2, replacing="none"))
    assert stack.state("a")["inputs"]["default"] == first
    stack.up(program.format(value=3, replacing="value"))
    assert stack.state("a")["inputs"]["default"] != first


def test_components_hold_their_children_and_outputs(stack: Stack, probe: Probe) -> None:
    """A component is a resource without a provider, and its URN is in its children's."""
    run = stack.up(
        """
        g = Group("g")
        t = Thing("t", opts=Opts(parent=g))
        g.register_outputs({"t": t.out})
        """
    )
    assert run.changes == {"create": 3}
    group, thing = stack.state("g"), stack.state("t")
    assert group["outputs"] == {"t": "made"}
    assert group["custom"] is False
    assert thing["parent"] == group["urn"]
    assert thing["urn"].endswith("::probe:index:Group$probe:index:Thing::t")
    assert [state["urn"] for state in stack.states()] == [group["urn"], thing["urn"]]
    stack.settled()
    assert stack.up('Group("g")').ops() == {"t": ["delete"]}
    assert stack.names() == ["g"]


def test_property_dependencies_are_recorded_per_property(stack: Stack) -> None:
    """Each input knows which resources it came from."""
    stack.up(
        """
        a = Thing("a")
        b = Thing("b")
        Thing("c", x=a.out, y=pulumi.Output.all(a.out, b.out), z=1, opts=Opts(depends_on=[b]))
        """
    )
    a, b = stack.urn("a"), stack.urn("b")
    state = stack.state("c")
    assert state["propertyDependencies"]["x"] == [a]
    assert sorted(state["propertyDependencies"]["y"]) == [a, b]
    assert state["propertyDependencies"]["z"] == []
    assert sorted(state["dependencies"]) == [a, b]


def test_independent_resources_are_made_at_once_and_parallel_limits_it(stack: Stack, probe: Probe) -> None:
    """Four slow creates overlap; with `--parallel 1` they do not."""
    stack.up('[Thing(f"p{i}", slow=0.4) for i in range(4)]')
    creates = [call for call in probe.calls if call.method == "create"]
    assert max(call.start for call in creates) < min(call.end for call in creates)
    probe.forget()
    stack.up('[Thing(f"s{i}", slow=0.4) for i in range(4)]', "--parallel", "1")
    creates = sorted((call for call in probe.calls if call.method == "create"), key=lambda call: call.start)
    assert all(before.end <= after.start for before, after in itertools.pairwise(creates))


def test_the_same_name_twice_is_refused(stack: Stack, probe: Probe) -> None:
    """Two resources of one type and name cannot be told apart."""
    run = stack.up('Thing("a"); Thing("a")', fails=True)
    assert "Duplicate resource URN" in run.errors
    assert "try giving it a unique name" in run.errors


def test_stack_outputs_follow_the_program(stack: Stack) -> None:
    """Exports come, change and go."""
    stack.up('pulumi.export("a", 1); pulumi.export("b", {"x": [True, None, 1.5]})')
    assert stack.outputs() == {"a": 1, "b": {"x": [True, None, 1.5]}}
    stack.up('pulumi.export("a", 2)')
    assert stack.outputs() == {"a": 2}


def test_a_failed_program_keeps_old_outputs(stack: Stack) -> None:
    """Exports that were not made again are not taken for deleted."""
    stack.up('pulumi.export("a", 1); pulumi.export("b", 1)')
    stack.up('pulumi.export("a", 2)\nThing("x", failCreate="no")', fails=True)
    assert stack.outputs() == {"a": 2, "b": 1}


def test_a_program_that_does_nothing_leaves_an_empty_stack(stack: Stack) -> None:
    """Only the stack resource is there."""
    run = stack.up("")
    assert run.changes == {"create": 1}
    assert stack.names() == []
    assert stack.destroy().changes == {"delete": 1}


def test_a_replacement_trigger_replaces(stack: Stack, probe: Probe) -> None:
    """A changed trigger replaces whatever the provider says."""
    program = 'Thing("a", opts=Opts(replacement_trigger={value}))'
    stack.up(program.format(value=1))
    stack.settled()
    run = stack.up(program.format(value=2))
    assert run.changes == {"replace": 1}
    stack.settled()


def test_replace_flag_replaces_one_resource(stack: Stack, probe: Probe) -> None:
    """`up --replace URN` replaces what has not changed."""
    stack.up('Thing("a"); Thing("b")')
    probe.forget()
    stack.up(None, "--replace", stack.urn("a"))
    assert probe.methods() == ["create a", "delete a"]
