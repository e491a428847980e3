"""Hooks and transforms: functions of the program that the engine calls."""

from __future__ import annotations

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe

HOOKS = """
import pathlib
LOG = pathlib.Path("hooks.log")

def note(what, fail=""):
    def run(args):
        line = {"hook": what, "name": args.name, "id": args.id,
                "new": (args.new_inputs or {}).get("value"), "old": (args.old_inputs or {}).get("value"),
                "out": (args.new_outputs or {}).get("out")}
        with LOG.open("a") as log:
            log.write(json.dumps(line) + "\\n")
        if fail == what:
            raise ValueError(what + " said no")
    return pulumi.ResourceHook(what, run, pulumi.ResourceHookOptions(on_dry_run=False))

def bound(fail=""):
    kinds = ("before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete")
    hooks = {kind: note(kind, fail) for kind in kinds}
    return pulumi.ResourceHookBinding(**{k: [v] for k, v in hooks.items()})

"""


def _log(stack: Stack) -> list[str]:
    path = stack.folder / "hooks.log"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    import json

    return [json.loads(line)["hook"] for line in lines]


def test_hooks_run_around_each_kind_of_step(stack: Stack, probe: Probe) -> None:
    """Not in previews; with the program in a destroy."""
    program = HOOKS + 'Thing("a", value={value}, opts=Opts(hooks=bound()))'
    stack.preview(program.replace("{value}", "1"))
    assert _log(stack) == []
    stack.up()
    assert _log(stack) == ["before_create", "after_create"]
    assert stack.state("a")["resourceHooks"]["BeforeCreate"] == ["before_create"]
    stack.up(program.replace("{value}", "2"))
    assert _log(stack) == ["before_update", "after_update"]
    run = stack.destroy(fails=True)
    assert "--run-program" in run.text
    stack.destroy("--run-program")
    assert _log(stack) == ["before_delete", "after_delete"]


def test_a_failing_before_hook_stops_the_step(stack: Stack, probe: Probe) -> None:
    """Nothing is made."""
    run = stack.up(HOOKS + 'Thing("a", opts=Opts(hooks=bound("before_create")))', fails=True)
    assert "before_create said no" in run.errors
    assert probe.methods() == []
    assert stack.names() == []


def test_a_failing_after_hook_fails_the_update_but_the_state_is_saved(stack: Stack, probe: Probe) -> None:
    """What was made is known."""
    run = stack.up(HOOKS + 'Thing("a", value=1, opts=Opts(hooks=bound("after_create")))', fails=True)
    assert "after_create said no" in run.errors
    assert stack.names() == ["a"]
    assert stack.state("a")["id"] in probe.cloud


def test_component_hooks_run_around_their_registration(stack: Stack) -> None:
    """After-hooks when the outputs are registered."""
    stack.up(
        HOOKS
        + """
class Hooked(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("my:index:Hooked", name, {}, Opts(hooks=bound()))
        self.register_outputs({"x": 1})
Hooked("h")
"""
    )
    assert _log(stack) == ["before_create", "after_create"]


def test_an_error_hook_may_ask_for_another_try(stack: Stack, probe: Probe) -> None:
    """The third try succeeds, because the hook changed the world."""
    run = stack.up(
        """
        import pathlib
        tries = pathlib.Path("tries")
        def again(args):
            count = int(tries.read_text() or 0) + 1 if tries.exists() else 1
            tries.write_text(str(count))
            return count < 3
        hook = pulumi.ErrorHook("again", again)
        Thing("a", failCreate="flaky", opts=Opts(hooks=pulumi.ResourceHookBinding(on_error=[hook])))
        """,
        fails=True,
    )
    assert probe.methods("create") == ["create a"] * 3
    assert "retrying create due to on-error hook request (2/100)" in "\n".join(run.messages("warning"))


def test_a_transform_changes_inputs_and_options(stack: Stack, probe: Probe) -> None:
    """Of one resource."""
    stack.up(
        """
        def t(args):
            opts = Opts.merge(args.opts, Opts(protect=True))
            return pulumi.ResourceTransformResult(props={**args.props, "added": "yes"}, opts=opts)
        Thing("a", value=1, opts=Opts(transforms=[t]))
        """
    )
    state = stack.state("a")
    assert state["inputs"]["added"] == "yes"
    assert state["protect"] is True


def test_stack_transforms_see_every_resource_children_too(stack: Stack) -> None:
    """And a component's transforms its children."""
    stack.up(
        """
        def tag(label):
            def t(args):
                if args.custom:
                    return pulumi.ResourceTransformResult(props={**args.props, label: True}, opts=args.opts)
            return t
        pulumi.runtime.register_resource_transform(tag("fromStack"))
        g = Group("g", opts=Opts(transforms=[tag("fromGroup")]))
        Thing("child", opts=Opts(parent=g))
        Thing("other")
        """
    )
    child, other = stack.state("child")["inputs"], stack.state("other")["inputs"]
    assert child == {"fromStack": True, "fromGroup": True}
    assert other == {"fromStack": True}


def test_a_transform_keeps_secrets(stack: Stack) -> None:
    """Values that pass through it keep what they are."""
    stack.up(
        """
        def t(args):
            return pulumi.ResourceTransformResult(props={**args.props, "copy": args.props["value"]}, opts=args.opts)
        a = Thing("a", out="x")
        Thing("b", value=pulumi.Output.secret(a.out), opts=Opts(transforms=[t]))
        """
    )
    state = stack.state("b")
    assert "ciphertext" in state["inputs"]["copy"]


def test_a_transform_that_raises_fails_the_update(stack: Stack, probe: Probe) -> None:
    """With its message."""
    run = stack.up(
        """
        def t(args):
            raise ValueError("transform said no")
        Thing("a", opts=Opts(transforms=[t]))
        """,
        fails=True,
    )
    assert "transform said no" in run.text
    assert probe.methods() == []


def test_invokes_return_values_and_errors(stack: Stack, probe: Probe) -> None:
    """Functions of a provider, with unknowns held back in previews."""
    program = """
    r = pulumi.runtime.invoke("probe:index:echo", {"value": "plain"}).value
    pulumi.export("r", r["echo"])
    """
    stack.up(program)
    assert stack.outputs() == {"r": "plain"}
    run = stack.up('pulumi.runtime.invoke("probe:index:echo", {"fail": "no such thing"})', fails=True)
    assert "no such thing" in run.errors


def test_an_invoke_transform_changes_arguments(stack: Stack) -> None:
    """Of every invoke of the stack."""
    stack.up(
        """
        def t(args):
            return pulumi.InvokeTransformResult(args={**args.args, "value": "changed"}, opts=args.opts)
        pulumi.runtime.register_invoke_transform(t)
        out = pulumi.runtime.invoke("probe:index:echo", {"value": "plain"}).value
        pulumi.export("r", out["echo"])
        """
    )
    assert stack.outputs() == {"r": "changed"}


def test_stack_references_read_other_stacks_with_their_secrets(stack: Stack) -> None:
    """Plain and secret outputs of another stack of the backend."""
    stack.up('pulumi.export("plain", "p"); pulumi.export("hush", pulumi.Output.secret("h")); pulumi.export("n", 3)')
    assert stack.pulumi("stack", "init", "second").code == 0
    stack.up(
        """
        ref = pulumi.StackReference("organization/conf/test")
        pulumi.export("plain", ref.require_output("plain"))
        pulumi.export("hush", ref.require_output("hush"))
        pulumi.export("n", ref.get_output("n"))
        """
    )
    assert stack.outputs() == {"plain": "p", "hush": "h", "n": 3}
    assert stack.outputs(show_secrets=False)["hush"] == "[secret]"


def test_a_stack_reference_to_nothing_fails(stack: Stack) -> None:
    """With the name that was asked for."""
    run = stack.up('pulumi.StackReference("organization/conf/nobody").get_output("x")', fails=True)
    assert "nobody" in run.errors


def test_config_reaches_the_program(stack: Stack) -> None:
    """Plain, structured, and of other namespaces."""
    stack.pulumi("config", "set", "conf:name", "value")
    stack.pulumi("config", "set", "--path", "conf:deep.list[0]", "7")
    stack.pulumi("config", "set", "other:key", "x")
    stack.up(
        """
        c = pulumi.Config()
        pulumi.export("name", c.require("name"))
        pulumi.export("deep", c.require_object("deep"))
        pulumi.export("other", pulumi.Config("other").get("key"))
        pulumi.export("names", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization()])
        pulumi.export("dry", pulumi.runtime.is_dry_run())
        """
    )
    assert stack.outputs() == {
        "name": "value",
        "deep": {"list": [7]},
        "other": "x",
        "names": ["conf", "test", "organization"],
        "dry": False,
    }


def test_a_missing_setting_is_named_with_the_way_to_set_it(stack: Stack) -> None:
    """The SDK's sentence, not a traceback."""
    run = stack.up('pulumi.Config().require("size")', fails=True)
    assert "Missing required configuration variable 'conf:size'" in run.errors
    assert "Traceback" not in run.errors


def test_main_in_another_folder(stack: Stack) -> None:
    """`main` in Pulumi.yaml moves the program and its working folder."""
    import json

    (stack.folder / "sub").mkdir()
    (stack.folder / "sub" / "__main__.py").write_text(
        "import os, pulumi, beside\npulumi.export('cwd', os.path.basename(os.getcwd()))\npulumi.export('b', beside.X)\n"
    )
    (stack.folder / "sub" / "beside.py").write_text("X = 1\n")
    settings = json.loads((stack.folder / "Pulumi.yaml").read_text())
    (stack.folder / "Pulumi.yaml").write_text(json.dumps({**settings, "main": "sub"}))
    stack.up()
    assert stack.outputs() == {"cwd": "sub", "b": 1}
