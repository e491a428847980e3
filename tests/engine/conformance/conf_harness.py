"""Runs Pulumi projects under the engine under test: the embedded one in this process, or the `pulumi` on PATH."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PREAMBLE = """\
import json
import pulumi
from pulumi import ResourceOptions as Opts


class Thing(pulumi.CustomResource):
    out: pulumi.Output[str]

    def __init__(self, name, opts=None, *, kind="probe:index:Thing", **props):
        props.setdefault("out", None)
        super().__init__(kind, name, props, opts)


class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None, *, kind="probe:index:Group"):
        super().__init__(kind, name, {}, opts)


class Probe(pulumi.ProviderResource):
    def __init__(self, name, opts=None, **props):
        super().__init__("probe", name, props, opts)


"""
"""What every conformance program begins with."""

SIG = "4dabf18193072939515e22adb298388d"


def engines() -> list[str]:
    """The engines of this machine."""
    return ["embedded", "cli"] if shutil.which("pulumi") else ["embedded"]


@dataclass
class Run:
    """What a command did: exit code, output, engine events."""

    code: int
    out: str
    err: str
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything that was printed."""
        return self.out + self.err

    def _each(self, kind: str) -> Iterator[dict[str, Any]]:
        for event in self.events:
            if kind in event:
                yield event[kind]

    @property
    def changes(self) -> dict[str, int]:
        """The counts of the summary, without what stayed the same."""
        found: dict[str, int] = {}
        for event in self._each("summaryEvent"):
            found = event["resourceChanges"]
        return {op: count for op, count in found.items() if op != "same" and count}

    def ops(self, kind: str = "resourcePreEvent") -> dict[str, list[str]]:
        """The operations by resource name, in order, without default providers and what stayed the same."""
        found: dict[str, list[str]] = {}
        for event in self._each(kind):
            metadata = event["metadata"]
            name = metadata["urn"].rsplit("::", 1)[-1]
            if metadata["op"] != "same" and not name.startswith("default"):
                found.setdefault(name, []).append(metadata["op"])
        return found

    def metadata(self, name: str, kind: str = "resourcePreEvent") -> dict[str, Any]:
        """The last step's metadata for a resource."""
        found = [event["metadata"] for event in self._each(kind) if event["metadata"]["urn"].endswith(f"::{name}")]
        assert found, f"no {kind} for {name}"
        return dict(found[-1])

    def messages(self, severity: str = "error") -> list[str]:
        """The diagnostics of a severity."""
        return [event["message"].strip() for event in self._each("diagnosticEvent") if event["severity"] == severity]

    @property
    def errors(self) -> str:
        """All error diagnostics as one text."""
        return "\n".join(self.messages("error"))

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The policy violations."""
        return list(self._each("policyEvent"))


@dataclass
class Stack:
    """One project with one stack."""

    folder: Path
    engine: str
    environment: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)

    def create(self) -> None:
        """Make the stack."""
        settings = {
            "name": "conf",
            "runtime": {"name": "python", "options": {"virtualenv": sys.prefix}},
            **self.options,
        }
        (self.folder / "Pulumi.yaml").write_text(json.dumps(settings))
        assert self.pulumi("stack", "init", "test").code == 0

    def write(self, program: str, **files: str) -> None:
        """Make `program` the project's program, below the preamble."""
        (self.folder / "__main__.py").write_text(PREAMBLE + textwrap.dedent(program))
        for name, text in files.items():
            (self.folder / name.replace("__dot__", ".")).write_text(textwrap.dedent(text))

    def pulumi(self, *arguments: str, log: Path | None = None, **environment: str) -> Run:
        """Run a `pulumi` command."""
        command = [*arguments, "--non-interactive"]
        if log is not None:
            command += ["--event-log", str(log)]
        variables = {**self.environment, **environment}
        run = self._inside(command, variables) if self.engine == "embedded" else self._outside(command, variables)
        if log is not None and log.exists():
            run.events = [json.loads(line) for line in log.read_text().splitlines() if line]
        return run

    def _operation(self, *arguments: str, program: str | None, fails: bool, **environment: str) -> Run:
        if program is not None:
            self.write(program)
        log = self.folder / f"events-{time.monotonic_ns()}.log"
        run = self.pulumi(*arguments, log=log, **environment)
        assert (run.code != 0) == fails, f"exit code {run.code}\n{run.text}"
        return run

    def up(self, program: str | None = None, *flags: str, fails: bool = False, **environment: str) -> Run:
        """Run `pulumi up`, by default expecting it to succeed."""
        flags = ("--yes", "--skip-preview", *flags)
        return self._operation("up", *flags, program=program, fails=fails, **environment)

    def preview(self, program: str | None = None, *flags: str, fails: bool = False, **environment: str) -> Run:
        """Run `pulumi preview`."""
        return self._operation("preview", *flags, program=program, fails=fails, **environment)

    def refresh(self, *flags: str, fails: bool = False, **environment: str) -> Run:
        """Run `pulumi refresh`."""
        return self._operation("refresh", "--yes", "--skip-preview", *flags, program=None, fails=fails, **environment)

    def destroy(self, *flags: str, fails: bool = False, **environment: str) -> Run:
        """Run `pulumi destroy`."""
        return self._operation("destroy", "--yes", "--skip-preview", *flags, program=None, fails=fails, **environment)

    def settled(self) -> None:
        """Assert that a preview plans nothing."""
        run = self.preview()
        assert run.changes == {}, run.changes

    def under(self, engine: str) -> Stack:
        """The same stack, whose commands run under another engine."""
        return replace(self, engine=engine)

    def export(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the deployment."""
        flags = ["--show-secrets"] if show_secrets else []
        run = self.pulumi("stack", "export", *flags)
        assert run.code == 0, run.text
        deployment: dict[str, Any] = json.loads(run.out)["deployment"]
        return deployment

    def states(self) -> list[dict[str, Any]]:
        """Return the resources but for the stack and default providers."""
        return [
            state
            for state in self.export().get("resources") or []
            if state["type"] != "pulumi:pulumi:Stack" and "::default" not in state["urn"]
        ]

    def state(self, name: str) -> dict[str, Any]:
        """Return one resource."""
        found = [state for state in self.states() if state["urn"].endswith(f"::{name}")]
        assert len(found) == 1, f"{len(found)} resources named {name}"
        return found[0]

    def names(self) -> list[str]:
        """Return the names of the resources, in the order of the state."""
        return [state["urn"].rsplit("::", 1)[-1] for state in self.states()]

    def urn(self, name: str) -> str:
        """Return the URN of a resource."""
        return str(self.state(name)["urn"])

    def outputs(self, *, show_secrets: bool = True) -> dict[str, Any]:
        """Return the stack's outputs."""
        flags = ["--show-secrets"] if show_secrets else []
        run = self.pulumi("stack", "output", "--json", *flags)
        assert run.code == 0, run.text
        outputs: dict[str, Any] = json.loads(run.out)
        return outputs

    def _outside(self, command: list[str], environment: dict[str, str]) -> Run:
        done = subprocess.run(
            ["pulumi", *command],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def _inside(self, command: list[str], environment: dict[str, str]) -> Run:
        from pulumi_embedded.cli.main import main

        out, err = io.StringIO(), io.StringIO()
        with (
            _environment(environment),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            _quick_passphrase(),
            _no_input(),
        ):
            code = main(command)
        return Run(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _no_input() -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.StringIO()
    try:
        yield
    finally:
        sys.stdin = before


@contextlib.contextmanager
def _quick_passphrase() -> Iterator[None]:
    """Derive each key once: a million rounds a command would be most of the suite's time."""
    derive = hashlib.pbkdf2_hmac
    if not hasattr(derive, "cache_info"):
        hashlib.pbkdf2_hmac = functools.lru_cache(maxsize=None)(derive)  # type: ignore[assignment]
    yield
