"""A stack goes from one engine to the other and back, at any moment, without a change being planned."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from tests.engine.conformance.conf_harness import Stack, engines
from tests.engine.conformance.conf_probe import Probe

BOTH = pytest.mark.skipif(len(engines()) < 2, reason="the Pulumi CLI is not on PATH")

PROGRAM = """
from pulumi.dynamic import CreateResult, Resource, ResourceProvider, UpdateResult

class Echo(ResourceProvider):
    def create(self, props):
        return CreateResult("echo-" + props["name"], props)
    def update(self, id, old, new):
        return UpdateResult(new)

class Said(Resource, module="test", name="Said"):
    word: pulumi.Output[str]
    def __init__(self, name, word, opts=None):
        super().__init__(Echo(), name, {{"name": name, "word": word}}, opts)

config = pulumi.Config()
hush = config.require_secret("hush")
mine = Probe("mine", flavour="sweet", token=hush)
group = Group("group", opts=Opts(providers=[mine], protect={protect}))
child = Thing("child", value={value}, hush="inner", nested={{"list": [1, 2.5, None, {{"deep": hush}}]}},
              opts=Opts(parent=group, additional_secret_outputs=["out"]))
group.register_outputs({{"child": child.out}})
other = Thing("other", value=child.out, replaceKeys=["value"], friend=child,
              opts=Opts(depends_on=[group], ignore_changes=["x"], custom_timeouts=pulumi.CustomTimeouts(create="5m")))
said = Said("said", pulumi.Output.concat("the word is ", hush, " {value}"))
named = Thing("named", file=pulumi.StringAsset("text {value}"), both=pulumi.AssetArchive({{
    "a": pulumi.StringAsset("a"), "b": pulumi.AssetArchive({{"c": pulumi.StringAsset("c")}})}}),
    opts=Opts(retain_on_delete=True, deleted_with=other, version="1.2.3"))
pulumi.export("word", said.word)
pulumi.export("all", {{"child": child.out, "list": [other.out, {value}], "float": 1.5, "big": 12345678901}})
"""


def _write(stack: Stack, value: int, *, protect: bool = False) -> None:
    stack.write(PROGRAM.format(value=value, protect=protect))


@BOTH
@pytest.mark.parametrize(("maker", "reader"), [("embedded", "cli"), ("cli", "embedded")])
def test_what_one_engine_made_the_other_finds_unchanged(stack: Stack, probe: Probe, maker: str, reader: str) -> None:
    """And may update, refresh and destroy; what it did the first finds unchanged in turn."""
    first, second = stack.under(maker), stack.under(reader)
    assert first.pulumi("config", "set", "--secret", "hush", "p4ss").code == 0
    _write(stack, 1)
    first.up()
    second.settled()
    first.settled()
    assert second.outputs() == first.outputs()
    _write(stack, 2)
    second.up()
    first.settled()
    second.settled()
    assert "p4ss" not in str(first.export())
    first.refresh()
    second.settled()
    second.refresh()
    first.settled()
    second.destroy()
    assert first.export().get("resources") is None


@BOTH
@pytest.mark.parametrize(("maker", "reader"), [("embedded", "cli"), ("cli", "embedded")])
def test_an_exported_deployment_of_one_engine_is_imported_by_the_other(
    stack: Stack, probe: Probe, maker: str, reader: str
) -> None:
    """With its secrets."""
    first, second = stack.under(maker), stack.under(reader)
    assert first.pulumi("config", "set", "--secret", "hush", "p4ss").code == 0
    _write(stack, 1)
    first.up()
    assert first.pulumi("stack", "export", "--file", "state.json").code == 0
    assert second.pulumi("stack", "import", "--file", "state.json").code == 0
    second.settled()
    first.settled()


@BOTH
@pytest.mark.parametrize(("maker", "reader"), [("embedded", "cli"), ("cli", "embedded")])
def test_a_failed_update_of_one_engine_is_finished_by_the_other(
    stack: Stack, probe: Probe, maker: str, reader: str
) -> None:
    """A replacement that was made and not deleted, a resource that could not be initialized."""
    program = """
    a = Thing("a", value={value}, replaceKeys=["value"], fixedId="a{value}", failDelete={fail})
    b = Thing("b", value=a.out, initError={init})
    """
    stack.write(program.format(value=1, fail='"cannot go"', init=None))
    first, second = stack.under(maker), stack.under(reader)
    first.up()
    stack.write(program.format(value=2, fail='"cannot go"', init='"not yet"'))
    first.up(fails=True)
    for found in probe.cloud.values():
        found["inputs"].pop("failDelete", None)
    stack.write(program.format(value=2, fail=None, init=None))
    second.up(fails=True)  # the old one still says that it cannot go
    assert sorted(state["urn"].rsplit("::", 1)[-1] for state in second.states()) == sorted(
        state["urn"].rsplit("::", 1)[-1] for state in first.states()
    )
    assert "initErrors" not in first.state("b")


def _kill_while_b_is_made(stack: Stack, probe: Probe, engine: str) -> int:
    """Kill an update of `engine` after `a` was made and while `b` is; return the dead process's number."""
    probe.gates["g"] = threading.Event()
    stack.write('a = Thing("a", fixedId="a-1"); Thing("b", value=a.out, gate="g", fixedId="b-1")')
    command = ["pulumi"] if engine == "cli" else [sys.executable, "-m", "pulumi_embedded"]
    path = os.pathsep.join(item for item in sys.path if item)
    process = subprocess.Popen(
        [*command, "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=stack.folder,
        env={**os.environ, **stack.environment, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while "create b" not in probe.methods() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    probe.gates["g"].set()
    return process.pid


@BOTH
@pytest.mark.parametrize("killed", ["embedded", "cli"])
@pytest.mark.parametrize("canceller", ["embedded", "cli"])
def test_after_a_kill_either_engine_tells_the_truth(stack: Stack, probe: Probe, killed: str, canceller: str) -> None:
    """Both refuse by the lock; after `cancel` of either the embedded engine knows what was made, and converges.

    The CLI cannot read a journal: after a kill of the embedded engine its own view is that of the checkpoint before.
    """
    pid = _kill_while_b_is_made(stack, probe, killed)
    for engine in engines():
        refused = stack.under(engine).pulumi("up", "--yes", "--skip-preview")
        assert refused.code != 0
        assert "the stack is currently locked by 1 lock(s)" in refused.text
        assert f"(pid {pid})" in refused.text
    cancelled = stack.under(canceller).pulumi("cancel", "--yes")
    assert cancelled.code == 0
    for teller in ("embedded", *(["cli"] if killed == "cli" or canceller == "embedded" else [])):
        deployment = stack.under(teller).export()
        assert [item["resource"]["urn"].rsplit("::", 1)[-1] for item in deployment["pending_operations"]] == ["b"]
        assert "a" in [item["urn"].rsplit("::", 1)[-1] for item in deployment["resources"]]
    stack.under("embedded").up()
    assert probe.methods("create") == ["create a", "create b", "create b"], "nothing is made twice that was recorded"
    for engine in engines():
        stack.under(engine).settled()
