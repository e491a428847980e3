"""Dynamic providers: Python classes of the project, run by the SDK in a process of their own."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.engine.conformance.conf_harness import Stack

MODULE = """
import json, os, pathlib, subprocess, sys
import pulumi
from pulumi.dynamic import (CheckFailure, CheckResult, CreateResult, DiffResult, ReadResult, Resource,
                            ResourceProvider, UpdateResult)

LOG = pathlib.Path(__file__).with_name("calls.log")
WORLD = pathlib.Path(__file__).with_name("world")

def note(*words):
    with LOG.open("a") as log:
        log.write(" ".join(words) + "\\n")

class FileProvider(ResourceProvider):
    def check(self, olds, news):
        failures = [CheckFailure("text", "text may not be empty")] if news.get("text") == "" else []
        return CheckResult(news, failures)
    def diff(self, id, olds, news):
        replaces = ["name"] if olds.get("name") != news.get("name") else []
        running = olds.get("running") is not False
        return DiffResult(changes=olds.get("text") != news.get("text") or bool(replaces) or not running,
                          replaces=replaces, delete_before_replace=bool(news.get("first")))
    def create(self, props):
        note("create", props["name"])
        if props.get("fail"):
            raise RuntimeError("the disk is full")
        WORLD.mkdir(exist_ok=True)
        (WORLD / props["name"]).write_text(props["text"])
        return CreateResult(props["name"], {**props, "size": len(props["text"]), "running": True})
    def update(self, id, olds, news):
        note("update", id)
        (WORLD / id).write_text(news["text"])
        return UpdateResult({**news, "size": len(news["text"]), "running": True})
    def read(self, id, props):
        path = WORLD / id
        if not path.exists():
            return ReadResult(None, {})
        return ReadResult(id, {**props, "text": path.read_text(), "running": True})
    def delete(self, id, props):
        note("delete", id)
        (WORLD / id).unlink(missing_ok=True)

class File(Resource, module="railyard", name="File"):
    size: pulumi.Output[int]
    def __init__(self, resource_name, text, opts=None, **props):
        super().__init__(FileProvider(), resource_name,
                         {"name": resource_name, "text": text, "size": None, "running": None, **props}, opts)

class ConfiguredProvider(ResourceProvider):
    def configure(self, req):
        self.region = req.config.get("region") or "none"
    def create(self, props):
        return CreateResult("x", {"region": self.region})

class Configured(Resource):
    region: pulumi.Output[str]
    def __init__(self, name):
        super().__init__(ConfiguredProvider(), name, {"region": None})

class DaemonProvider(ResourceProvider):
    def create(self, props):
        p = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        return CreateResult(str(p.pid), {"pid": p.pid})
    def delete(self, id, props):
        import contextlib, os, signal
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(props["pid"]), signal.SIGKILL)

class Daemon(Resource):
    pid: pulumi.Output[int]
    def __init__(self, name):
        super().__init__(DaemonProvider(), name, {"pid": None})
"""


def _calls(stack: Stack) -> list[str]:
    path = stack.folder / "calls.log"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def _write(stack: Stack, program: str) -> None:
    stack.write("from files import *\n" + program, files__dot__py=MODULE)


def test_the_life_of_a_dynamic_resource(stack: Stack) -> None:
    """Create, same, update, replace, delete; the type carries the module and name of the class."""
    _write(stack, 'f = File("one", "hello"); pulumi.export("size", f.size)')
    stack.up()
    assert stack.outputs() == {"size": 5}
    assert stack.state("one")["type"] == "pulumi-python:dynamic/railyard:File"
    assert stack.state("one")["id"] == "one"
    stack.settled()
    _write(stack, 'File("one", "hello you")')
    assert stack.up().changes == {"update": 1}
    _write(stack, 'File("one", "hello you", first=True, opts=Opts(), )')
    stack.up()
    assert _calls(stack) == ["create one", "update one"]
    stack.destroy()
    assert _calls(stack) == ["delete one"]
    assert not (stack.folder / "world" / "one").exists()


def test_a_dynamic_resource_that_is_gone_is_made_again(stack: Stack) -> None:
    """`up --refresh` sees what `read` observes."""
    _write(stack, 'File("one", "hello")')
    stack.up()
    (stack.folder / "world" / "one").unlink()
    _calls(stack)
    stack.up(None, "--refresh")
    assert _calls(stack) == ["create one"]


def test_drift_of_a_dynamic_resource_is_healed(stack: Stack) -> None:
    """A dynamic provider that returns what it observes as outputs is compared with it."""
    _write(stack, 'File("one", "hello")')
    stack.up()
    (stack.folder / "world" / "one").write_text("tampered")
    _calls(stack)
    stack.up(None, "--refresh")
    assert _calls(stack) == ["update one"]
    assert (stack.folder / "world" / "one").read_text() == "hello"


def test_the_useful_line_of_a_failed_create_is_shown(stack: Stack) -> None:
    """The provider's exception, by its last line."""
    _write(stack, 'File("one", "hello", fail=True)')
    run = stack.up(fails=True)
    assert "RuntimeError: the disk is full" in run.errors
    if stack.engine == "embedded":
        assert "pulumi/dynamic/__main__.py" not in run.errors


def test_check_failures_of_a_dynamic_provider(stack: Stack) -> None:
    """Named by property."""
    _write(stack, 'File("one", "")')
    run = stack.preview(fails=True)
    assert "text may not be empty" in run.errors


def test_unknown_inputs_in_a_preview(stack: Stack) -> None:
    """`check` sees them, `create` is not called."""
    _write(stack, 'a = File("one", "hello"); File("two", a.size.apply(str))')
    assert stack.preview().changes == {"create": 3}
    assert _calls(stack) == []
    stack.up()
    assert _calls(stack) == ["create one", "create two"]


def test_secrets_through_a_dynamic_provider(stack: Stack) -> None:
    """It gets plain values; what came from a secret is sealed in the state."""
    _write(stack, 'File("one", pulumi.Output.secret("planted-text"))')
    run = stack.up()
    assert (stack.folder / "world" / "one").read_text() == "planted-text"
    assert "planted-text" not in str(stack.export())
    assert "planted-text" not in str(run.events)
    stack.settled()


def test_settings_reach_a_dynamic_provider(stack: Stack) -> None:
    """Through `configure`."""
    stack.pulumi("config", "set", "region", "north")
    _write(stack, 'c = Configured("c"); pulumi.export("region", c.region)')
    stack.up()
    assert stack.outputs() == {"region": "north"}


def test_a_daemon_that_a_provider_starts_does_not_hold_the_command(stack: Stack) -> None:
    """The command returns though the daemon inherited the provider's streams, and the daemon lives on."""
    _write(stack, 'd = Daemon("d"); pulumi.export("pid", d.pid)')
    begun = time.monotonic()
    run = stack.up()
    took = time.monotonic() - begun
    pid = stack.outputs()["pid"]
    summary = next(event["summaryEvent"] for event in run.events if "summaryEvent" in event)
    if stack.engine == "embedded":  # the CLI waits until the daemon is gone
        os.kill(pid, 0)
        assert took < summary["durationSeconds"] + 4
    stack.destroy()


def test_no_process_is_left_behind(stack: Stack) -> None:
    """Neither the program nor the provider outlives the command."""
    _write(stack, 'File("one", "hello")')
    stack.up()
    assert _processes_in(stack) == []


def _processes_in(stack: Stack) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "cwd").readlink() == stack.folder:
                    found.append(entry.name)
            except OSError:
                continue
    return found
