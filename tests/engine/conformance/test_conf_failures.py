"""What fails is told in few words, and what was done before is kept."""

from __future__ import annotations

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe


def test_a_failed_create_keeps_what_was_made(stack: Stack, probe: Probe) -> None:
    """The next update makes the rest."""
    program = 'a = Thing("a"); Thing("b", value=a.out, failCreate={fail})'
    run = stack.up(program.format(fail='"no room"'), fails=True)
    assert "no room" in run.errors
    assert stack.names() == ["a"]
    assert "pending_operations" not in stack.export()
    probe.forget()
    stack.up(program.format(fail="None"))
    assert probe.methods() == ["create b"]
    stack.settled()


def test_a_failed_update_keeps_the_old_state(stack: Stack, probe: Probe) -> None:
    """And is tried again."""
    stack.up('Thing("a", value=1)')
    run = stack.up('Thing("a", value=2, failUpdate="locked")', fails=True)
    assert "locked" in run.errors
    assert stack.state("a")["inputs"] == {"value": 1}
    stack.up('Thing("a", value=2)')
    assert stack.state("a")["inputs"]["value"] == 2


def test_a_failed_delete_keeps_the_resource(stack: Stack, probe: Probe) -> None:
    """And is tried again."""
    stack.up('Thing("a", failDelete="in use"); Thing("b")')
    run = stack.destroy(fails=True)
    assert "in use" in run.errors
    assert "a" in stack.names()
    probe.cloud[stack.state("a")["id"]]["outputs"].pop("failDelete")


def test_a_failed_replacement_leaves_the_old_resource_to_be_deleted(stack: Stack, probe: Probe) -> None:
    """Its delete is pending in the state and comes with the next update."""
    program = 'Thing("a", value={value}, replaceKeys=["value"], failDelete={fail})'
    stack.up(program.format(value=1, fail='"in use"'))
    stack.up(program.format(value=2, fail="None"), fails=True)
    states = [state for state in stack.states() if state["urn"].endswith("::a")]
    assert sorted(bool(state.get("delete")) for state in states) == [False, True]
    doomed = next(state for state in states if state.get("delete"))
    run = stack.up(None, fails=True)
    assert "in use" in run.errors
    assert probe.of("delete", "a").request.id == doomed["id"]


def test_an_interrupted_delete_first_replacement_goes_on(stack: Stack, probe: Probe) -> None:
    """What was deleted and could not be made again is made by the next update."""
    program = 'Thing("a", value={value}, replaceKeys=["value"], deleteFirst=True, failCreate={fail})'
    stack.up(program.format(value=1, fail="None"))
    stack.up(program.format(value=2, fail='"no room"'), fails=True)
    assert stack.state("a")["pendingReplacement"] is True
    probe.forget()
    stack.up(program.format(value=2, fail="None"))
    assert probe.methods() == ["create a"]
    assert "pendingReplacement" not in stack.state("a")
    stack.settled()


def test_a_pending_replacement_that_nobody_wants_is_forgotten(stack: Stack, probe: Probe) -> None:
    """Without calling the provider: it is deleted already."""
    program = 'Thing("a", value={value}, replaceKeys=["value"], deleteFirst=True, failCreate={fail})'
    stack.up(program.format(value=1, fail="None"))
    stack.up(program.format(value=2, fail='"no room"'), fails=True)
    probe.forget()
    stack.up("")
    assert probe.methods() == []
    assert stack.names() == []


def test_initialization_errors_keep_the_resource_and_are_tried_again(stack: Stack, probe: Probe) -> None:
    """A resource that exists but is not right fails the update once and is updated by the next."""
    run = stack.up('Thing("a", initError="not ready")', fails=True)
    assert "not ready" in run.errors
    assert stack.state("a")["initErrors"] == ["not ready"]
    probe.forget()
    run = stack.up('Thing("a", initError="not ready")', fails=True)
    assert probe.methods() == ["update a"]
    stack.up('Thing("a")')
    assert "initErrors" not in stack.state("a")
    stack.settled()


def test_a_partly_failed_update_keeps_old_inputs_and_new_outputs(stack: Stack) -> None:
    """So that the next update tries the new inputs again."""
    stack.up('Thing("a", value=1)')
    stack.up('Thing("a", value=2, initError="half done")', fails=True)
    state = stack.state("a")
    assert state["inputs"]["value"] == 1
    assert state["outputs"]["value"] == 2


def test_wrong_inputs_are_refused_before_anything_is_made(stack: Stack, probe: Probe) -> None:
    """The property and the reason are named; the preview says it, too."""
    program = 'Thing("a", failCheck="must be blue")'
    for run in (stack.preview(program, fails=True), stack.up(program, fails=True)):
        assert "property failCheck value" in run.errors
        assert "has a problem: must be blue" in run.errors
    assert probe.methods() == []


def test_a_program_that_raises_shows_only_its_own_frames(stack: Stack, probe: Probe) -> None:
    """The last line is the error, and no line is of the SDK."""
    stack.write(
        """
        import helper_module
        Thing("a")
        helper_module.go(1)
        """,
        helper_module__dot__py="""
        def go(depth):
            if depth == 0:
                raise KeyError("the useful line")
            go(depth - 1)
        """,
    )
    run = stack.up(fails=True)
    assert "Program failed with an unhandled exception" in run.errors
    assert "KeyError: 'the useful line'" in run.errors
    assert "helper_module.py" in run.errors
    if stack.engine == "embedded":
        assert "site-packages/pulumi/" not in run.errors
        assert "asyncio" not in run.errors
        assert "runpy" not in run.errors


def test_an_exception_in_an_apply_fails_the_update(stack: Stack, probe: Probe) -> None:
    """What was registered before stays."""
    run = stack.up(
        """
        a = Thing("a")
        def boom(value):
            raise ValueError("in the apply")
        Thing("b", value=a.out.apply(boom))
        """,
        fails=True,
    )
    assert "ValueError: in the apply" in run.errors
    assert stack.names() == ["a"]


def test_a_run_error_is_one_sentence(stack: Stack) -> None:
    """`pulumi.RunError` is for messages to people."""
    run = stack.up('raise pulumi.RunError("set the region first")', fails=True)
    assert "set the region first" in run.errors
    assert "Traceback" not in run.errors


def test_a_syntax_error_names_the_line(stack: Stack) -> None:
    """With the file."""
    run = stack.up("x = = 1", fails=True)
    assert "SyntaxError" in run.errors
    assert "__main__.py" in run.errors


def test_a_program_that_exits_fails_the_update(stack: Stack) -> None:
    """With its code."""
    run = stack.up("import sys; sys.exit(3)", fails=True)
    assert "program exited with non-zero exit code: 3" in run.errors


def test_continue_on_error_makes_what_does_not_depend_on_the_failure(stack: Stack, probe: Probe) -> None:
    """Dependents are skipped, the rest is made, the update fails."""
    run = stack.up(
        """
        bad = Thing("bad", failCreate="no")
        Thing("dependent", value=bad.out)
        Thing("free", slow=0.3)
        """,
        "--continue-on-error",
        fails=True,
    )
    assert "no" in run.errors
    assert stack.names() == ["free"]


def test_without_it_a_failure_stops_what_has_not_begun(stack: Stack, probe: Probe) -> None:
    """What runs is finished and recorded."""
    stack.up(
        """
        slow = Thing("slow", slow=0.6)
        Thing("bad", slow=0.2, failCreate="no")
        Thing("later", value=slow.out)
        """,
        fails=True,
    )
    assert stack.names() == ["slow"]


def test_continue_on_error_in_a_destroy_keeps_what_the_failed_resource_needs(stack: Stack, probe: Probe) -> None:
    """Its dependencies stay; the others go."""
    stack.up('a = Thing("a"); Thing("b", value=a.out, failDelete="in use"); Thing("c")')
    stack.destroy("--continue-on-error", fails=True)
    assert stack.names() == ["a", "b"]


def test_a_missing_provider_plugin_is_named(stack: Stack) -> None:
    """With its package."""
    run = stack.up('pulumi.CustomResource("nosuch:index:Thing", "a", {})', fails=True)
    assert "nosuch" in run.errors


def test_a_missing_virtual_environment_is_named(stack: Stack) -> None:
    """In one sentence, before anything runs."""
    stack.write("")
    (stack.folder / "Pulumi.yaml").write_text(
        'name: conf\nruntime:\n  name: python\n  options:\n    virtualenv: "no-such-folder"\n'
    )
    run = stack.pulumi("up", "--yes", "--skip-preview")
    assert run.code != 0
    assert "no-such-folder" in run.text


def test_program_output_and_logs_come_in_order(stack: Stack) -> None:
    """What a program prints and logs is shown with its severity."""
    run = stack.up(
        """
        print("first")
        pulumi.log.info("second")
        pulumi.log.warn("third")
        t = Thing("t")
        pulumi.log.info("about t", resource=t)
        """
    )
    assert "first" in run.messages("info")
    assert "second" in run.messages("info")
    assert run.messages("warning") == ["third"]
    about = [
        event["diagnosticEvent"]
        for event in run.events
        if event.get("diagnosticEvent", {}).get("message", "").startswith("about t")
    ]
    assert about[0]["urn"].endswith("::t")


def test_debug_messages_are_shown_to_who_asks_for_them(stack: Stack) -> None:
    """With `--debug`, in the display; without it, nowhere there."""
    program = 'pulumi.log.debug("down here"); Thing("t")'
    assert "down here" in stack.up(program, "--debug").text
    assert "down here" not in stack.up(program).text


def test_a_create_whose_answer_cannot_be_read_fails_that_step(stack: Stack, probe: Probe) -> None:
    """In words; the next update tries again."""
    run = stack.up('Thing("a", malformed=True)', fails=True)
    assert "malformed" in run.errors.lower()
    assert "Traceback" not in run.errors
    assert stack.names() == []
    stack.up('Thing("a")')
    assert probe.methods() == ["create a", "create a"]


def test_a_provider_that_dies_at_work_is_named_and_what_was_made_is_kept(stack: Stack) -> None:
    """The step fails, the update ends, and the next one goes on from there."""
    program = """
    import os
    from pulumi.dynamic import CreateResult, Resource, ResourceProvider

    class P(ResourceProvider):
        def create(self, props):
            if props["dies"]:
                os._exit(9)
            return CreateResult(props["name"], props)

    class R(Resource):
        def __init__(self, name, dies, opts=None):
            super().__init__(P(), name, {"name": name, "dies": dies}, opts)

    a = R("a", False)
    R("b", DIES, opts=Opts(depends_on=[a]))
    """
    run = stack.up(program.replace("DIES", "True"), fails=True)
    assert [state["id"] for state in stack.states()] == ["a"]
    if stack.engine == "embedded":
        assert "the provider 'pulumi-python' ended while it was at work" in run.errors
    stack.up(program.replace("DIES", "False"))
    assert [state["id"] for state in stack.states()] == ["a", "b"]
