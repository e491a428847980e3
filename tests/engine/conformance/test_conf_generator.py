"""The step generator's rare ways: what hand-written clients send, and what changes of programs and options lead to."""

from __future__ import annotations

import pytest

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import UNKNOWN, Probe

RAW = """
from pulumi.runtime import settings
from pulumi.runtime.proto import resource_pb2 as wire
from google.protobuf import struct_pb2

monitor = settings.get_monitor()


def struct(**values):
    made = struct_pb2.Struct()
    made.update(values)
    return made


def register(name, custom=True, **fields):
    fields.setdefault("object", struct())
    return monitor.RegisterResource(
        wire.RegisterResourceRequest(type="probe:index:Thing", name=name, custom=custom, **fields)
    )


"""
"""A program that speaks to the engine without the SDK's care, as other SDKs and versions may."""

NOBODY = "urn:pulumi:test::conf::probe:index:Thing::nobody"

WRONG = {
    "a parent that is not registered": (f'register("a", parent="{NOBODY}")', "could not find parent resource"),
    "a dependency that is no URN": ('register("a", dependencies=["b"])', "invalid dependency URN"),
    "a type that is none": (
        'monitor.RegisterResource(wire.RegisterResourceRequest(type="Thing", name="a", custom=True))',
        "is not a valid type token",
    ),
    "a timeout that is none": (
        'register("a", customTimeouts=wire.RegisterResourceRequest.CustomTimeouts(create="soon"))',
        "unable to parse customTimeout",
    ),
    "a provider that nobody registered": (
        f'register("a", provider="{NOBODY.replace("probe:index:Thing", "pulumi:providers:probe")}::an-id")',
        "nknown provider",
    ),
    "a provider reference that is none": ('register("a", provider="probe")', "reference"),
    "a read without an ID": (
        'monitor.ReadResource(wire.ReadResourceRequest(type="probe:index:Thing", name="a"))',
        "ID",
    ),
    "a trigger of replacement that is unknown in an update": (
        f'register("a", replacement_trigger=struct_pb2.Value(string_value="{UNKNOWN}"))',
        "replacement trigger contains unknowns",
    ),
    "one name twice": ('register("a"); register("a")', "Duplicate resource URN"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_is_refused_by_name(stack: Stack, probe: Probe, what: str) -> None:
    """One sentence, the update fails, and nothing but what was right before is made."""
    line, said = WRONG[what]
    if "trigger" in what:
        stack.up(RAW + 'register("a", replacement_trigger=struct_pb2.Value(string_value="known"))')
    run = stack.up(RAW + line, fails=True)
    assert said in run.errors + "\n".join(run.messages("info#err"))
    assert probe.methods() in ([], ["create a"])


def test_a_trigger_that_is_not_known_yet_replaces_in_the_preview(stack: Stack, probe: Probe) -> None:
    """In the update it is known, and replaces when it changed."""
    program = 'b = Thing("b", value={value}, out="{value}"); Thing("a", opts=Opts(replacement_trigger=b.out))'
    stack.up(program.format(value=1))
    assert stack.preview(program.format(value=2) + '; Thing("c")').ops()["b"] == ["update"]
    run = stack.up()
    assert run.ops()["a"][-1] in ("replace", "create-replacement", "delete-replaced")
    stack.settled()
    run = stack.preview('Thing("b", value=1); Thing("a", opts=Opts(replacement_trigger=Thing("late").out))')
    assert "replace" in " ".join(run.ops()["a"])


def test_a_name_that_another_resource_took_as_its_alias(stack: Stack, probe: Probe) -> None:
    """Registered afterwards it clashes, and both are named."""
    stack.up('Thing("old")')
    run = stack.up(
        """
        new = Thing("new", opts=Opts(aliases=[pulumi.Alias(name="old")]))
        Thing("old", opts=Opts(depends_on=[new]))
        """,
        fails=True,
    )
    assert "conflicting with alias on resource with URN" in run.errors
    assert probe.methods() == ["create old"]


def test_a_renamed_provider_keeps_its_resources(stack: Stack, probe: Probe) -> None:
    """Under its alias it is the same provider."""
    program = 'p = Probe("{name}", opts=Opts(aliases=[{alias}])); Thing("a", opts=Opts(provider=p))'
    stack.up(program.format(name="one", alias=""))
    run = stack.up(program.format(name="two", alias='pulumi.Alias(name="one")'))
    assert run.changes == {}
    assert probe.methods() == ["create a"]
    assert "::two::" in stack.state("a")["provider"]
    stack.settled()


def test_a_component_that_becomes_a_resource_is_replaced(stack: Stack, probe: Probe) -> None:
    """It had no provider before: nothing can be said of what would change."""
    stack.up(RAW + 'register("a", custom=False)')
    run = stack.up(RAW + 'register("a", object=struct(value=1))')
    assert run.changes == {"replace": 1}
    assert probe.methods() == ["create a"]
    stack.settled()


def test_a_replacement_whose_inputs_do_not_pass_afresh_is_refused(stack: Stack, probe: Probe) -> None:
    """They are checked once with the old ones and once without: what a default hid is said then."""
    stack.up('Thing("a", value=1)')
    run = stack.up('Thing("a", value=2, replaceKeys=["value"], failCheckAfresh="must be given")', fails=True)
    assert "must be given" in run.errors
    assert probe.methods() == ["create a"]


def test_a_preview_tells_that_an_imported_resource_would_be_replaced(stack: Stack, probe: Probe) -> None:
    """And goes on; the update refuses."""
    probe.cloud["there"] = {"inputs": {"value": 1}, "outputs": {"value": 1, "out": "made"}}
    program = 'Thing("a", value={value}, {more} opts=Opts(import_="there"))'
    stack.up(program.format(value=1, more=""))
    stack.write(program.format(value=2, more='replaceKeys=["value"],'))
    said = "previously-imported resources that still specify an ID may not be replaced"
    assert said in "\n".join(stack.preview().messages("warning"))
    assert said in stack.up(fails=True).errors
    assert probe.methods() == []


def test_a_provider_whose_settings_are_not_known_yet_cannot_compare(stack: Stack, probe: Probe) -> None:
    """The preview says so and takes it for an update."""
    program = """
    base = Thing("base", value={value}, out="{value}", detailed=True)
    p = Probe("p", region="north", note={note})
    Thing("a", value={value}, opts=Opts(provider=p))
    """
    stack.up(program.format(value=1, note='"x"'))
    run = stack.preview(program.format(value=2, note='Thing("late").out'))
    assert run.ops()["a"] == ["update"]
    stack.up()
    stack.settled()


def test_what_is_not_targeted_brings_what_it_needed(stack: Stack, probe: Probe) -> None:
    """Though the program no longer registers that: the old resource needs it until it is updated itself."""
    stack.up(
        """
        a = Thing("a", opts=Opts(provider=Probe("p")))
        b = Thing("b", value=a.out)
        Thing("c", value=1)
        """
    )
    stack.write('Thing("b", value="own"); Thing("c", value=2)')
    run = stack.up(None, "--target", "**::c")
    assert run.changes == {"update": 1}
    assert sorted(stack.names()) == ["a", "b", "c", "p"]
    stack.up()
    assert sorted(stack.names()) == ["b", "c"]
    stack.settled()


def test_what_is_targeted_brings_what_it_names(stack: Stack, probe: Probe) -> None:
    """A dependency that this program does not register stays, with its provider and its own dependencies."""
    stack.up('p = Probe("p"); z = Thing("z"); a = Thing("a", value=z.out, opts=Opts(provider=p)); Thing("t", value=1)')
    urn = stack.urn("a")
    named = f'from pulumi.resource import DependencyResource; d = DependencyResource("{urn}")'
    stack.write(named + '; Thing("t", value=2, opts=Opts(depends_on=[d]))')
    stack.up(None, "--target", "**::t")
    assert stack.state("t")["dependencies"] == [urn]
    assert sorted(stack.names()) == ["a", "p", "t", "z"]


def test_a_preview_with_targets_goes_on_after_what_is_missing(stack: Stack, probe: Probe) -> None:
    """Each missing dependency is named once; the update refuses at the first."""
    stack.write('a = Thing("a"); Thing("t", value=a.out); Thing("u", value=a.out)')
    run = stack.preview(None, "--target", "**::t", "--target", "**::u", fails=True)
    assert "depends on" in run.errors
    assert stack.up(None, "--target", "**::t", fails=True).errors.count("depends on") == 1
    assert probe.methods() == []


def test_another_provider_is_not_taken_for_what_is_not_targeted(stack: Stack, probe: Probe) -> None:
    """The old one is not registered any more, so that the resource cannot stay as it is."""
    stack.up('p = Probe("p"); Thing("a", opts=Opts(provider=p)); Thing("t", value=1)')
    stack.write('q = Probe("q"); Thing("a", opts=Opts(provider=q)); Thing("t", value=2)')
    run = stack.up(None, "--target", "**::t", fails=True)
    assert "has not been registered yet, this is due to a change of providers mixed with --target" in run.errors


def test_a_destroy_with_the_program_forgets_what_was_read(stack: Stack, probe: Probe) -> None:
    """And skips what was never made, with all that depends on it."""
    probe.cloud["theirs"] = {"inputs": {"value": 1}, "outputs": {"value": 1, "out": "there"}}
    found = """
    class Found(pulumi.CustomResource):
        out: pulumi.Output[str]

        def __init__(self, name, opts=None):
            super().__init__("probe:index:Thing", name, {"out": None}, opts)


    f = Found("f", Opts(id="theirs"))
    Thing("a", value=f.out)
    """
    stack.up(found.rstrip() + '\n    Group("g")\n')
    stack.write(found.rstrip() + '\n    late = Thing("late"); g = Group("g", Opts(depends_on=[late]))\n')
    stack.destroy("--run-program")
    assert probe.methods("delete") == ["delete a"]
    assert list(probe.cloud) == ["theirs"]
    assert stack.export().get("resources") is None


def test_a_refresh_with_the_program_drops_what_is_gone(stack: Stack, probe: Probe) -> None:
    """What the program still registers and the cloud no longer has; the next update makes it."""
    stack.up('a = Thing("a", value=1); Thing("b", value=a.out)')
    probe.cloud.pop(stack.state("a")["id"])
    stack.refresh("--run-program")
    assert stack.names() == ["b"]
    stack.up()
    stack.settled()


def test_a_targeted_refresh_with_the_program_takes_the_dependents_along(stack: Stack, probe: Probe) -> None:
    """Those that the program no longer registers, too; the excluded ones stay as they are."""
    stack.up('a = Thing("a", value=1); b = Thing("b", up=a.out); Thing("c", up=b.out)')
    stack.write('Thing("c")')
    probe.forget()
    stack.refresh("--run-program", "--target", stack.urn("a"), "--target-dependents")
    assert "read a" in probe.methods("read")
    probe.forget()
    stack.refresh("--run-program", "--exclude", stack.urn("b"), "--exclude-dependents")
    assert "read b" not in probe.methods("read")


def test_untargeted_resources_of_a_targeted_destroy_stay(stack: Stack, probe: Probe) -> None:
    """With `deleted_with` and `replace_with` to what goes, they go too."""
    stack.up('a = Thing("a"); Thing("b", opts=Opts(deleted_with=a)); Thing("c")')
    stack.destroy("--target", stack.urn("a"), "--target-dependents")
    assert stack.names() == ["c"]


def test_a_targeted_refresh_without_the_program_takes_the_dependents_along(stack: Stack, probe: Probe) -> None:
    """And one that excludes leaves them out."""
    stack.up('a = Thing("a", value=1); b = Thing("b", up=a.out); Thing("c")')
    probe.forget()
    stack.refresh("--target", stack.urn("a"), "--target-dependents")
    assert sorted(probe.methods("read")) == ["read a", "read b"]  # they are read at once
    probe.forget()
    stack.refresh("--exclude", stack.urn("a"), "--exclude-dependents")
    assert probe.methods("read") == ["read c"]


def test_a_provider_that_only_the_state_has_is_loaded_from_there(stack: Stack, probe: Probe) -> None:
    """A program may name it by its reference; it stays, with its settings."""
    stack.up('Thing("a", value=1, opts=Opts(provider=Probe("p", region="north")))')
    reference = stack.state("a")["provider"]
    stack.write(
        "from pulumi.resource import DependencyProviderResource\n"
        f'p = DependencyProviderResource("{reference}"); Thing("a", value=2, opts=Opts(provider=p))\n'
    )
    run = stack.up(None, "--target", "**::a")
    assert run.changes == {"update": 1}
    assert probe.configured[-1] == {"region": "north"}
    assert sorted(stack.names()) == ["a", "p"]


def test_a_dependency_that_never_was_fails(stack: Stack, probe: Probe) -> None:
    """Neither the state nor the program has it."""
    stack.up('Thing("t", value=1)')
    stack.write(
        "from pulumi.resource import DependencyResource\n"
        f'Thing("t", value=2, opts=Opts(depends_on=[DependencyResource("{NOBODY}")]))\n'
    )
    assert NOBODY in stack.up(None, "--target", "**::t", fails=True).text
    if stack.engine == "cli":
        return  # it says so after it wrote the state, which it cannot read any more
    assert NOBODY in stack.up(None, fails=True).text
    stack.up('Thing("t", value=3)')
    stack.settled()
