"""Remote components: a provider's process builds them, from a folder that Pulumi.yaml names by its path."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe

PROVIDER = """
import sys

import pulumi
from pulumi import ResourceOptions as Opts
from pulumi.errors import InputPropertiesError, InputPropertyError
from pulumi.provider import CallResult, ConstructResult, Provider, main


class Thing(pulumi.CustomResource):
    out: pulumi.Output[str]

    def __init__(self, name, opts=None, **props):
        super().__init__("probe:index:Thing", name, {"out": None, **props}, opts)


class Pair(pulumi.ComponentResource):
    def __init__(self, name, inputs, opts=None):
        super().__init__("pairs:index:Pair", name, {}, opts)
        first = Thing(f"{name}-first", value=inputs["value"], opts=Opts(parent=self))
        self.second = Thing(f"{name}-second", up=first.out, out=inputs["value"], opts=Opts(parent=self))
        self.register_outputs({"out": self.second.out})


class Pairs(Provider):
    def __init__(self):
        super().__init__("1.0.0", "{}")

    def construct(self, name, resource_type, inputs, options=None):
        if "wrong" in inputs:
            raise ValueError("it is wrong")
        if "odd" in inputs:
            raise InputPropertiesError("some are odd", [
                {"property_path": "odd.deep[1]", "reason": "it is odd"},
                {"property_path": "none", "reason": "it is missing"},
            ])
        if "bag" in inputs:
            bag = inputs["bag"]
            if not isinstance(bag, dict) or not isinstance(bag["hidden"], pulumi.Output) or bag["plain"] != "seen":
                raise ValueError(f"a bag has to be a dict with one secret in it, not {bag!r}")
        made = Pair(name, inputs, options)
        return ConstructResult(urn=made.urn, state={"out": made.second.out})

    def call(self, token, args):
        if "wrong" in args:
            raise ValueError("the call is wrong")
        if "odd" in args:
            raise InputPropertyError("odd", "it is odd")
        greeting = pulumi.Output.from_input(args["who"]).apply(lambda who: f"hello {who}")
        return CallResult(outputs={"greeting": greeting})


main(Pairs(), sys.argv[1:])
"""
PAIR = """
class Pair(pulumi.ComponentResource):
    out: pulumi.Output[str]

    def __init__(self, name, opts=None, **props):
        super().__init__("pairs:index:Pair", name, {"out": None, **props}, opts, remote=True)

    def greet(self, **arguments):
        return pulumi.runtime.call("pairs:index:Pair/greet", {"__self__": self, **arguments}, self)


"""


@pytest.fixture
def pairs(stack: Stack, tmp_path: Path) -> Stack:
    """A stack whose project knows the provider of package `pairs`."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
    (folder / "PulumiPlugin.yaml").write_text(json.dumps({"runtime": runtime}))
    (folder / "__main__.py").write_text(PROVIDER)
    plugins = {"providers": [{"name": "pairs", "path": str(folder)}]}
    (stack.folder / "Pulumi.yaml").write_text(json.dumps({"name": "conf", "runtime": runtime, "plugins": plugins}))
    return stack


def test_a_remote_component_is_made_changed_and_destroyed(pairs: Stack, probe: Probe) -> None:
    """What is inside it stands under it; its outputs, with their dependencies, come back to the program."""
    program = PAIR + 'p = Pair("p", value="one"); Thing("after", value=p.out); pulumi.export("o", p.out)'
    assert pairs.preview(program).changes == {"create": 5}
    pairs.up()
    assert probe.methods() == ["create p-first", "create p-second", "create after"]
    assert pairs.state("p-first")["parent"] == pairs.urn("p")
    assert "pairs:index:Pair$probe:index:Thing" in pairs.urn("p-second")
    assert pairs.urn("p-second") in pairs.state("after")["dependencies"]
    assert pairs.outputs() == {"o": "one"}
    pairs.settled()
    assert pairs.up(program.replace('"one"', '"two"')).changes == {"update": 3}
    pairs.settled()
    pairs.destroy()
    assert probe.cloud == {}


def test_a_remote_component_keeps_secrets_and_options(pairs: Stack, probe: Probe) -> None:
    """Protection goes down to its children, secrets stay so, and what it depends on is made before."""
    program = """
    base = Thing("base", slow=0.2)
    p = Pair("p", value=pulumi.Output.secret("hush"), opts=Opts(protect=True, depends_on=[base]))
    pulumi.export("o", p.out)
    """
    pairs.write(PAIR + textwrap.dedent(program))
    pairs.up()
    assert probe.methods()[0] == "create base"
    assert pairs.state("p-second")["protect"] is True
    assert pairs.outputs(show_secrets=False) == {"o": "[secret]"}
    assert "hush" not in str(pairs.export())
    pairs.settled()


def test_a_secret_inside_an_input_reaches_the_provider_as_an_output(pairs: Stack) -> None:
    """And leaves the rest of the input as it is: such providers say that they take outputs when they are configured."""
    run = pairs.up(PAIR + 'Pair("p", value="v", bag={"plain": "seen", "hidden": pulumi.Output.secret("hush")})')
    assert "hush" not in run.text
    pairs.settled()


def test_a_remote_component_under_an_alias_keeps_its_children(pairs: Stack, probe: Probe) -> None:
    """Children that are named after it are renamed with it."""
    pairs.up(PAIR + 'Pair("old", value="v")')
    run = pairs.up(PAIR + 'Pair("new", value="v", opts=Opts(aliases=[pulumi.Alias(name="old")]))')
    assert run.changes == {}
    assert sorted(pairs.names()) == ["new", "new-first", "new-second"]


def test_a_transform_reaches_a_remote_component_and_its_children(pairs: Stack, probe: Probe) -> None:
    """The stack's and its own."""
    pairs.up(
        PAIR
        + """
def more(args):
    if args.type_ == "probe:index:Thing":
        return pulumi.ResourceTransformResult({**args.props, "more": "yes"}, args.opts)
    if args.type_ == "pairs:index:Pair":
        return pulumi.ResourceTransformResult({**args.props, "value": "changed"}, args.opts)


pulumi.runtime.register_resource_transform(more)
Pair("p", value="v")
"""
    )
    assert pairs.state("p-first")["inputs"]["more"] == "yes"
    assert pairs.state("p-first")["inputs"]["value"] == "changed"


def test_a_method_of_a_remote_component_is_called(pairs: Stack, probe: Probe) -> None:
    """With values that are known later."""
    pairs.up(PAIR + 'p = Pair("p", value="v"); pulumi.export("g", p.greet(who=Thing("t", out="you").out))')
    assert pairs.outputs()["g"] == {"greeting": "hello you"}
    pairs.settled()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('Pair("p", value="v", wrong=True)', "it is wrong"),
        ('Pair("p", value="v").greet(wrong=True)', "the call is wrong"),
        (
            'Pair("p", value="v", odd={"deep": [1, {"x": True, "a": "t"}]})',
            "pairs:index:Pair resource 'p' has a problem: some are odd\n"
            "\t\t- property odd.deep[1] with value '{map[a:{t} x:{true}]}' has a problem: it is odd\n"
            "\t\t- property none has a problem: it is missing",
        ),
        (
            'Pair("p", value="v").greet(odd=3)',
            "call to function 'pairs:index:Pair/greet' failed: \n"
            "\t\t- property odd with value '{3}' has a problem: it is odd",
        ),
    ],
)
def test_what_the_provider_raises_fails_the_update(pairs: Stack, line: str, said: str) -> None:
    """In its own words."""
    run = pairs.up(PAIR + line, fails=True)
    assert said in run.errors
