"""Resource options do what they promise."""

from __future__ import annotations

import pytest

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe


def test_protected_resources_are_not_deleted(stack: Stack, probe: Probe) -> None:
    """Neither by a program that drops them nor by destroy; unprotecting lets them go."""
    stack.up('Thing("a", opts=Opts(protect=True)); Thing("b")')
    run = stack.up('Thing("b")', fails=True)
    assert "cannot be deleted" in run.errors
    assert "pulumi state unprotect" in run.errors
    assert "delete a" not in probe.methods()
    stack.destroy(fails=True)
    assert "delete a" not in probe.methods()
    stack.up('Thing("a", opts=Opts(protect=False)); Thing("b")')
    assert "protect" not in stack.state("a")
    stack.destroy()


def test_protected_resources_are_not_replaced(stack: Stack, probe: Probe) -> None:
    """The preview shows it, the update refuses before anything is made."""
    program = 'Thing("a", value={value}, replaceKeys=["value"], opts=Opts(protect=True))'
    stack.up(program.format(value=1))
    assert "unable to replace resource" in stack.preview(program.format(value=2), fails=True).errors
    assert "unable to replace resource" in stack.up(fails=True).errors
    assert probe.methods() == ["create a"]


def test_every_protected_delete_is_reported_in_one_run(stack: Stack, probe: Probe) -> None:
    """One refused delete does not hide the next, nor stop the others."""
    stack.up('[Thing(n, opts=Opts(protect=n != "c")) for n in ("a", "b", "c")]')
    run = stack.up("", fails=True)
    assert run.errors.count("cannot be deleted") == 2
    assert sorted(stack.names()) == ["a", "b"]


def test_children_inherit_protection(stack: Stack) -> None:
    """A child is protected unless it says otherwise."""
    stack.up(
        """
        g = Group("g", opts=Opts(protect=True))
        Thing("kept", opts=Opts(parent=g))
        Thing("free", opts=Opts(parent=g, protect=False))
        """
    )
    assert stack.state("kept")["protect"] is True
    assert "protect" not in stack.state("free")


def test_ignored_changes_are_no_changes(stack: Stack, probe: Probe) -> None:
    """The old value stays, in the state and in what the provider sees; at any depth."""
    program = """
    Thing("a", value={value}, deep={{"x": {value}, "y": [{value}, 1]}},
          opts=Opts(ignore_changes=["value", "deep.x", "deep.y[0]"]))
    """
    stack.up(program.format(value=1))
    run = stack.up(program.format(value=2))
    assert run.changes == {}
    assert stack.state("a")["inputs"]["value"] == 1
    assert stack.state("a")["inputs"]["deep"] == {"x": 1, "y": [1, 1]}


def test_ignoring_everything_below_a_path(stack: Stack) -> None:
    """`*` stands for every key or index."""
    program = 'Thing("a", tags={{"x": {value}, "y": {value}}}, opts=Opts(ignore_changes=["tags[*]"]))'
    stack.up(program.format(value=1))
    assert stack.up(program.format(value=2)).changes == {}


def test_replace_on_changes_turns_an_update_into_a_replacement(stack: Stack, probe: Probe) -> None:
    """For the listed paths, and only for them."""
    program = 'Thing("a", one={one}, two={two}, detailed={detailed}, opts=Opts(replace_on_changes=["one"]))'
    stack.up(program.format(one=1, two=1, detailed=False))
    assert stack.up(program.format(one=1, two=2, detailed=False)).changes == {"update": 1}
    assert stack.up(program.format(one=2, two=2, detailed=False)).changes == {"replace": 1}
    stack.up(program.format(one=2, two=2, detailed=True))
    assert stack.up(program.format(one=3, two=2, detailed=True)).changes == {"replace": 1}


def test_retained_resources_stay_when_they_go_from_the_state(stack: Stack, probe: Probe) -> None:
    """The state forgets them, the cloud keeps them."""
    stack.up('Thing("a", opts=Opts(retain_on_delete=True))')
    run = stack.up("")
    assert run.changes == {"delete": 1}
    assert probe.methods("delete") == []
    assert len(probe.cloud) == 1
    assert stack.names() == []


def test_resources_deleted_with_another_are_not_deleted_on_their_own(stack: Stack, probe: Probe) -> None:
    """When the other goes, they are gone with it."""
    program = """
    a = Thing("a")
    Thing("b", opts=Opts(deleted_with=a))
    """
    stack.up(program)
    assert stack.state("b")["deletedWith"] == stack.urn("a")
    probe.forget()
    stack.destroy()
    assert probe.methods() == ["delete a"]


def test_a_resource_deleted_with_another_is_deleted_when_that_stays(stack: Stack, probe: Probe) -> None:
    """Alone it goes as any other."""
    stack.up('a = Thing("a"); Thing("b", opts=Opts(deleted_with=a))')
    probe.forget()
    stack.up('Thing("a")')
    assert probe.methods() == ["delete b"]


def test_a_resource_is_replaced_with_another(stack: Stack, probe: Probe) -> None:
    """`replace_with` pulls it along."""
    program = """
    a = Thing("a", value={value}, replaceKeys=["value"])
    Thing("b", opts=Opts(replace_with=[a]))
    """
    stack.up(program.format(value=1))
    run = stack.up(program.format(value=2))
    assert run.changes == {"replace": 2}
    stack.settled()


def test_depends_on_orders_creates_and_deletes(stack: Stack, probe: Probe) -> None:
    """Even where no value flows."""
    stack.up('a = Thing("a", slow=0.3); Thing("b", opts=Opts(depends_on=[a]))')
    assert probe.methods() == ["create a", "create b"]
    probe.forget()
    stack.destroy()
    assert probe.methods() == ["delete b", "delete a"]


def test_depends_on_a_component_waits_for_its_children(stack: Stack, probe: Probe) -> None:
    """A component is there when its children are."""
    stack.up(
        """
        g = Group("g")
        Thing("child", slow=0.3, opts=Opts(parent=g))
        Thing("after", opts=Opts(depends_on=[g]))
        """
    )
    assert probe.methods() == ["create child", "create after"]


def test_timeouts_reach_the_provider(stack: Stack, probe: Probe) -> None:
    """In seconds, and in the state."""
    program = """
    timeouts = pulumi.CustomTimeouts(create="90s", update="1m30s", delete="2h")
    Thing("a", value={value}, opts=Opts(custom_timeouts=timeouts))
    """
    stack.up(program.format(value=1))
    assert probe.of("create", "a").request.timeout == 90
    assert stack.state("a")["customTimeouts"] == {"create": 90, "update": 90, "delete": 7200}
    stack.up(program.format(value=2))
    assert probe.of("update", "a").request.timeout == 90
    stack.destroy()
    assert probe.of("delete", "a").request.timeout == 7200


def test_additional_secret_outputs_are_secret(stack: Stack) -> None:
    """Named outputs are sealed in the state and masked in what is shown."""
    stack.up(
        """
        a = Thing("a", out="planted", opts=Opts(additional_secret_outputs=["out"]))
        pulumi.export("o", a.out)
        """
    )
    assert "ciphertext" in stack.state("a")["outputs"]["out"]
    assert str(stack.export()).count("planted") == 1, "only the input, which is not secret"
    assert stack.outputs() == {"o": "planted"}
    assert stack.outputs(show_secrets=False) == {"o": "[secret]"}


def test_hidden_diffs_are_kept_in_the_state(stack: Stack) -> None:
    """The display reads them from there."""
    stack.up('Thing("a", value=1, opts=Opts(hide_diffs=["value"]))')
    assert stack.state("a")["hideDiff"] == ["value"]


RENAMES = {
    "name": ('Thing("old")', 'Thing("new", opts=Opts(aliases=[pulumi.Alias(name="old")]))'),
    "type": (
        'Thing("new", kind="probe:index:Other")',
        'Thing("new", opts=Opts(aliases=[pulumi.Alias(type_="probe:index:Other")]))',
    ),
    "urn": (
        'Thing("old")',
        'Thing("new", opts=Opts(aliases=["urn:pulumi:test::conf::probe:index:Thing::old"]))',
    ),
    "parent": (
        'g = Group("g"); Thing("new", opts=Opts(parent=g))',
        'g = Group("g"); Thing("new", opts=Opts(aliases=[pulumi.Alias(parent=g)]))',
    ),
    "no parent": (
        'g = Group("g"); Thing("new")',
        'g = Group("g"); Thing("new", opts=Opts(parent=g, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]))',
    ),
}


@pytest.mark.parametrize("kind", RENAMES)
def test_an_aliased_resource_is_the_same_resource(stack: Stack, probe: Probe, kind: str) -> None:
    """Renaming, retyping and moving keep what exists."""
    before, after = RENAMES[kind]
    stack.up(before)
    resource_id = next(state["id"] for state in stack.states() if state["custom"])
    probe.forget()
    stack.up(after)
    assert probe.methods() == []
    assert stack.state("new")["id"] == resource_id
    assert "aliases" not in stack.state("new")
    stack.settled()


def test_children_inherit_the_alias_of_their_component(stack: Stack, probe: Probe) -> None:
    """Children named after their parent are renamed with it."""
    program = """
    g = Group("{name}", opts=Opts(aliases=[{aliases}]))
    inner = Group("{name}-inner", opts=Opts(parent=g))
    t = Thing("{name}-inner-leaf", opts=Opts(parent=inner))
    Thing("user", value=t.out)
    """
    stack.up(program.format(name="old", aliases=""))
    probe.forget()
    stack.up(program.format(name="new", aliases='pulumi.Alias(name="old")'))
    assert probe.methods() == []
    assert sorted(stack.names()) == ["new", "new-inner", "new-inner-leaf", "user"]
    assert stack.state("user")["dependencies"] == [stack.urn("new-inner-leaf")]
    stack.settled()


def test_a_retyped_component_keeps_its_children(stack: Stack, probe: Probe) -> None:
    """The children's URNs hold the component's type, and change with it."""
    program = 'g = Group("g", kind="{kind}", opts=Opts(aliases=[{aliases}])); Thing("t", opts=Opts(parent=g))'
    stack.up(program.format(kind="my:old:Kind", aliases=""))
    probe.forget()
    stack.up(program.format(kind="my:new:Kind", aliases='pulumi.Alias(type_="my:old:Kind")'))
    assert probe.methods() == []
    assert "my:new:Kind$" in stack.urn("t")


def test_two_resources_cannot_claim_one_alias(stack: Stack) -> None:
    """It is said which ones clash."""
    stack.up('Thing("old")')
    alias = 'opts=Opts(aliases=[pulumi.Alias(name="old")])'
    run = stack.up(f'Thing("x", {alias}); Thing("y", {alias})', fails=True)
    assert "Duplicate resource alias" in run.errors


def test_an_explicit_provider_is_used_and_inherited(stack: Stack, probe: Probe) -> None:
    """Children take it from their component, and the provider is configured once with its settings."""
    stack.up(
        """
        p = Probe("mine", region="north")
        g = Group("g", opts=Opts(providers=[p]))
        Thing("child", opts=Opts(parent=g))
        Thing("grandchild", opts=Opts(parent=Group("inner", opts=Opts(parent=g))))
        Thing("direct", opts=Opts(provider=p))
        """
    )
    reference = stack.state("direct")["provider"]
    assert "::mine::" in reference
    assert stack.state("child")["provider"] == reference
    assert stack.state("grandchild")["provider"] == reference
    assert probe.configured == [{"region": "north"}]


def test_a_changed_provider_updates_or_replaces_its_resources(stack: Stack, probe: Probe) -> None:
    """The provider itself decides what a change of its settings means."""
    program = 'p = Probe("mine", region="{region}", note="{note}"); Thing("a", opts=Opts(provider=p))'
    stack.up(program.format(region="north", note="x"))
    run = stack.up(program.format(region="north", note="y"))
    assert run.changes == {"update": 1}
    run = stack.up(program.format(region="south", note="y"))
    assert run.changes == {"replace": 2}
    stack.settled()


def test_wrong_provider_settings_are_refused(stack: Stack, probe: Probe) -> None:
    """The provider's own words are shown."""
    run = stack.up('p = Probe("mine", bad=True); Thing("a", opts=Opts(provider=p))', fails=True)
    assert "bad is not wanted here" in run.errors
    assert probe.methods() == []


def test_default_providers_can_be_forbidden(stack: Stack, probe: Probe) -> None:
    """With `pulumi:disable-default-providers`."""
    stack.pulumi("config", "set", "--path", "pulumi:disable-default-providers[0]", "probe")
    run = stack.up('Thing("a")', fails=True)
    assert "must use an explicit provider" in run.errors
    stack.up('Thing("a", opts=Opts(provider=Probe("p")))')


def test_an_imported_resource_is_adopted(stack: Stack, probe: Probe) -> None:
    """`import_` reads it, compares it, and makes nothing."""
    probe.cloud["there"] = {"inputs": {"value": 1}, "outputs": {"value": 1, "out": "made"}}
    run = stack.up('Thing("a", value=1, opts=Opts(import_="there"))')
    assert run.changes.get("import") == 1
    assert probe.methods() == []
    assert stack.state("a")["id"] == "there"
    stack.settled()
    stack.up('Thing("a", value=1)')
    stack.settled()


def test_importing_what_differs_updates_it(stack: Stack, probe: Probe) -> None:
    """The program's inputs win."""
    probe.cloud["there"] = {"inputs": {"value": 1}, "outputs": {"value": 1, "out": "made"}}
    stack.up('Thing("a", value=2, opts=Opts(import_="there"))')
    assert probe.methods() == ["update a"]
    assert probe.cloud["there"]["inputs"]["value"] == 2


def test_importing_what_does_not_exist_fails(stack: Stack) -> None:
    """In one sentence."""
    run = stack.up('Thing("a", opts=Opts(import_="nowhere"))', fails=True)
    assert "resource 'nowhere' does not exist" in run.errors


def test_an_import_can_replace_what_is_managed(stack: Stack, probe: Probe) -> None:
    """The old resource is deleted after the other one is adopted."""
    stack.up('Thing("a", value=1)')
    probe.cloud["there"] = {"inputs": {"value": 1}, "outputs": {"value": 1, "out": "made"}}
    probe.forget()
    stack.up('Thing("a", value=1, opts=Opts(import_="there"))')
    assert probe.methods() == ["delete a"]
    assert stack.state("a")["id"] == "there"
    stack.settled()
