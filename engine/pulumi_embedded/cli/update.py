"""One run of the deployment engine: what goes in, what is shown, and what is written afterwards, on any exit."""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from pulumi_embedded.backend.history import UpdateRecord, add_backup, add_update
from pulumi_embedded.backend.journal import JournalWriter
from pulumi_embedded.backend.layout import format_time, parse_stack_name
from pulumi_embedded.cli.context import told_output
from pulumi_embedded.cli.session import Session
from pulumi_embedded.deploy import run_update
from pulumi_embedded.deploy.launch import Launch
from pulumi_embedded.deploy.request import (
    CancelToken,
    ProjectSpec,
    ProviderPlugin,
    UpdateKind,
    UpdateOptions,
    UpdateRequest,
    UpdateResult,
)
from pulumi_embedded.display import summary
from pulumi_embedded.display.diff_view import diff_view
from pulumi_embedded.display.digest import Digest
from pulumi_embedded.display.event_log import EventLog, encode, open_event_log
from pulumi_embedded.display.model import Model
from pulumi_embedded.display.plain import PlainDisplay
from pulumi_embedded.display.words import HEADLINE, Paint, headline
from pulumi_embedded.errors import EngineError, StackNotFoundError
from pulumi_embedded.project import config as values
from pulumi_embedded.project.stack_settings import merge_project_config
from pulumi_embedded.state.sealing import MASK, mask, reveal
from pulumi_embedded.urn import ROOT_STACK_TYPE, make_urn
from pulumi_embedded.version import CLI_VERSION

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context

_HISTORY_KINDS = {"up": "update", "refresh": "refresh", "destroy": "destroy", "import": "resource-import"}


@dataclass
class Plan:
    """What a command is about to run; a preview leaves its details here for the prompt."""

    kind: UpdateKind
    options: UpdateOptions
    session: Session
    details: list[str] = field(default_factory=list)
    creates: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] | None = None
    launch: Launch | None = None

    def launch_program(self) -> None:
        """Let the next run's program get ready; what is wrong with it is told when that run begins."""
        self.close()
        runs = self.kind in ("preview", "up") or (self.kind != "import" and self.options.run_program)
        if runs and not self.options.client and self.session.context.project.runtime == "python":
            with suppress(EngineError):
                self.launch = Launch(project_spec(self.session.context))

    def close(self) -> None:
        """End a program that was launched and never ran."""
        if self.launch is not None:
            self.launch.discard()
            self.launch = None


def project_spec(context: Context) -> ProjectSpec:
    """Return what the engine has to know of the project."""
    project = context.project
    return ProjectSpec(
        name=project.name,
        root=project.root,
        runtime=project.runtime or "python",
        runtime_options=project.runtime_options,
        main=project.main,
        plugins=[
            ProviderPlugin(entry["name"], (project.root / entry["path"]).resolve(), entry.get("version", ""))
            for entry in project.providers
        ],
    )


class _Display(Protocol):
    @property
    def info_is_printed(self) -> bool: ...

    def take(self, event: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class _Silent:
    """Shows nothing while the engine runs (`--diff` shows everything afterwards)."""

    info_is_printed = False

    def __init__(self, model: Model) -> None:
        self._model = model

    def take(self, event: dict[str, Any]) -> None:
        """Learn from one event."""
        self._model.take(event)

    def close(self) -> None:
        """Nothing to take down."""


class _JsonLines(_Silent):
    """`--json` of an update: every event on a line of standard output."""

    def __init__(self, model: Model, out: TextIO) -> None:
        super().__init__(model)
        self._out = out

    def take(self, event: dict[str, Any]) -> None:
        """Print one event."""
        super().take(event)
        self._out.write(encode(event) + "\n")
        self._out.flush()


class Update:
    """One preview or one update of a stack."""

    def __init__(self, plan: Plan, *, preview: bool) -> None:
        """Prepare to run `plan`, changing nothing when `preview`."""
        self._plan = plan
        self._preview = preview
        self._session = plan.session
        self._context = plan.session.context
        self._flags = plan.session.context.flags
        self._json = self._flags.on("json")
        self._paint = Paint(colored=self._context.colored)
        name = self._session.name
        self._model = Model(
            stack_urn=make_urn(name.stack, name.project, "", ROOT_STACK_TYPE, f"{name.project}-{name.stack}"),
            preview=preview,
            show_sames=self._flags.on("show-sames"),
            show_reads=self._flags.on("show-reads"),
            show_replacement_steps=self._flags.on("show-replacement-steps"),
            show_debug=self._flags.on("debug"),
        )
        self._digest: Digest | None = None
        self._sequence = 0
        self._log: EventLog | None = None
        self._ended = False
        self._unshown: OSError | None = None
        self._started = time.time()

    def run(self) -> UpdateResult:
        """Run it, show it, and write what it did; the stack's lock is held unless this is a preview.

        Raises:
            EngineError: it could not start, or its result could not be written.
        """
        request = self._request()
        if self._flags.text("event-log"):
            self._log = open_event_log(self._flags.text("event-log"))
        if not self._json:
            title = headline(self._plan.kind, preview=self._preview)
            self._context.print(self._paint(f"{title} ({self._context.shown_name(self._session.name)}):", HEADLINE))
            self._context.print()
            self._show_config(request)
            self._context.flush()
        if self._json and self._preview:
            self._digest = Digest(self._model, request.base)
        display = self._display()
        try:
            result = self._run(request, display)
        finally:
            with self._shown():
                display.close()
                self._close_log()
        with told_output():
            if self._unshown is not None:
                raise self._unshown
        self._finish(result, display)
        return result

    @contextmanager
    def _shown(self, cancel: CancelToken | None = None) -> Iterator[None]:
        """Finish what runs, and no more, when what happens can no longer be told; `run` says so in the end."""
        try:
            yield
        except OSError as error:
            self._unshown = self._unshown or error
            if cancel is not None:
                cancel.cancel()

    def _run(self, request: UpdateRequest, display: _Display) -> UpdateResult:
        def listen(event: dict[str, Any]) -> None:
            # An event is shown as it came; what leaves this process has a number and no key of ours.
            stamped = {"sequence": self._sequence, "timestamp": int(time.time()), **_without_own_keys(event)}
            self._sequence += 1
            self._ended = self._ended or "cancelEvent" in event
            with self._shown(cancel):
                if self._log is not None:
                    self._log.write(stamped)
                display.take(stamped if isinstance(display, _JsonLines) else event)

        with _interruptible(self._context.err) as cancel:
            if self._preview:
                result = run_update(request, journal=None, events=listen, cancel=cancel)
                self._session.forget_states()
                return result
            return self._run_journalled(request, listen, cancel)

    def _run_journalled(self, request: UpdateRequest, listen: Any, cancel: CancelToken) -> UpdateResult:
        session = self._session
        session.adopt_provider()
        path = session.layout.journal_path(session.name)
        head = {"update": self._plan.kind, "time": format_time(self._context.now_ns()), "pid": os.getpid()}
        result: UpdateResult | None = None
        with JournalWriter(path, session.sealer, session.current.digest, head) as journal:
            try:
                result = run_update(request, journal=journal, events=listen, cancel=cancel)
            finally:
                journal.close()
                if result is None:
                    self._save_what_was_done()
        self._write(result)
        return result

    def _save_what_was_done(self) -> None:
        """Fold the journal though the engine failed; it stays for the next command when even that fails."""
        try:
            self._session.fold(backup=False)
            self._remember(None)
        except EngineError as error:
            self._context.note(f"warning: {error}")

    def _write(self, result: UpdateResult) -> None:
        """Make the result the new checkpoint; the journal is its proof until then."""
        session = self._session
        if not session.fold(backup=False):
            # Nothing was done: only the time of the update is new.
            before = session.current.deployment
            session.layout.write(session.name, session.replace_raw(before.resources, before.pending_operations))
            session.forget()
        self._remember(result)

    def _remember(self, result: UpdateResult | None) -> None:
        session = self._session
        changes = dict(result.changes) if result else {}
        record = UpdateRecord(
            kind=_HISTORY_KINDS[self._plan.kind],
            start_time=int(self._started),
            end_time=int(time.time()),
            result="succeeded" if result and result.ok else "failed",
            message=self._flags.text("message"),
            environment=self._environment(),
            config={key: values.dump_value(value) for key, value in (self._plan.config or {}).items()},
            resource_changes=changes,
        )
        add_update(session.layout, session.name, record)
        add_backup(session.layout, session.name)

    def _environment(self) -> dict[str, str]:
        """Return what the history says of where an update ran: names and switches, never values that may be secret."""
        project = self._context.project
        found = {
            "exec.kind": self._flags.text("exec-kind") or "cli",
            "pulumi.arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
            "pulumi.os": platform.system().lower(),
            "pulumi.version": f"v{CLI_VERSION}",
            "runtime.name": project.runtime,
            "runtime.version": platform.python_version(),
            "stack.environments": "[]",
            "updatePlan": "false",
        }
        if self._flags.text("exec-agent"):
            found["exec.agent"] = self._flags.text("exec-agent")
        for name in sorted(self._flags.given):
            value = self._flags.values[name]
            found[f"pulumi.flag.{name}"] = str(value).lower() if isinstance(value, bool) else "set"
        for name in sorted(os.environ):
            if name.startswith("PULUMI_"):
                found[f"pulumi.env.{name}"] = "set"
        return dict(sorted(found.items()))

    def _request(self) -> UpdateRequest:
        session, context = self._session, self._context
        project = context.project
        session.check_integrity()
        kind = self._plan.kind
        if kind != "import" and self._plan.config is None:
            validated = kind in ("preview", "up") and not self._flags.on("skip-config-validation")
            self._plan.config = merge_project_config(
                project, session.name.stack, session.settings.config, session.decrypt if validated else None
            )
        config = self._plan.config or merge_project_config(project, session.name.stack, session.settings.config, None)
        self._plan.config = config
        states, pending = session.states
        return UpdateRequest(
            kind=kind,
            project=project_spec(context),
            stack=session.name.stack,
            preview=self._preview,
            config={key: values.to_text(value, session.decrypt) for key, value in config.items()},
            config_secret_keys=[key for key, value in config.items() if values.is_secure(value)],
            config_secrets=[text for value in config.values() for text in values.secret_texts(value, session.decrypt)],
            base=states,
            pending_operations=pending,
            options=self._plan.options,
            read_stack_outputs=self._read_stack_outputs,
            tags=session.layout.read_tags(session.name),
            launch=self._plan.launch,
        )

    def _read_stack_outputs(self, text: str) -> dict[str, Any]:
        """Answer a StackReference: the other stack's outputs, secrets marked and readable."""
        name = parse_stack_name(text, self._context.project_name)
        if not self._session.layout.exists(name):
            raise StackNotFoundError(text)
        other = Session(self._context, name)
        root = other.current.deployment.root_stack() or {}
        place = f"{root.get('urn', '')}.outputs"
        outputs = root.get("outputs") or {}
        return {key: other.sealer.open(value, f"{place}.{key}") for key, value in outputs.items()}

    def _display(self) -> _Display:
        if self._digest is not None:
            return _DigestDisplay(self._digest)
        if self._json:
            return _JsonLines(self._model, self._context.out)
        urns = self._flags.on("urns")
        if self._flags.on("diff"):
            return _Silent(self._model)
        if self._context.interactive and os.environ.get("TERM") != "dumb":
            from pulumi_embedded.display.live import LiveDisplay

            return LiveDisplay(self._model, self._context.out, colored=self._context.colored, urns=urns)
        return PlainDisplay(self._model, self._context.out, self._paint, urns=urns)

    def _show_config(self, request: UpdateRequest) -> None:
        if not self._flags.on("show-config"):
            return
        self._context.print("Configuration:")
        for key in sorted(request.config):
            shown = MASK if key in request.config_secret_keys else request.config[key]
            self._context.print(f"    {key}: {shown}")

    def _finish(self, result: UpdateResult, display: _Display) -> None:
        self._plan.creates = [step for step in self._model.steps if step.get("op") in ("create", "import")]
        self._plan.details = diff_view(self._model, self._paint, full=True)
        if self._digest is not None:
            self._context.print_json(self._digest.result(result.duration_seconds), indent=4)
            return
        if self._json:
            return
        lines: list[str] = []
        if self._flags.on("diff"):
            lines += diff_view(self._model, self._paint, full=True)
        lines += summary.diagnostics(self._model, self._paint, info=not display.info_is_printed)
        if result.error and not self._model.errored:
            lines += [self._paint("Diagnostics:", HEADLINE), f"    error: {result.error}", ""]
        lines += summary.policies(self._model, self._paint)
        lines += self._outputs(result)
        lines += summary.losses(self._model, self._paint)
        lines += summary.resources(self._model, self._paint)
        self._context.print("\n".join(lines))
        self._context.flush()

    def _outputs(self, result: UpdateResult) -> list[str]:
        if self._flags.on("suppress-outputs") or self._plan.kind not in ("preview", "up", "refresh"):
            return []
        secrets = self._flags.on("show-secrets")
        if self._preview:
            root = next((state for state in self._session.states[0] if state.type == ROOT_STACK_TYPE), None)
            if root is not None and root.outputs == result.outputs:
                return []
        return summary.outputs((reveal if secrets else mask)(result.outputs), self._paint)

    def _close_log(self) -> None:
        if self._log is None:
            return
        if not self._ended:
            self._log.write({"sequence": self._sequence, "timestamp": int(time.time()), "cancelEvent": {}})
        self._log.close()


class _DigestDisplay:
    info_is_printed = True

    def __init__(self, digest: Digest) -> None:
        self._digest = digest

    def take(self, event: dict[str, Any]) -> None:
        """Learn from one event."""
        self._digest.take(event)

    def close(self) -> None:
        """Nothing to take down."""


def _without_own_keys(event: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {inner: item for inner, item in value.items() if inner not in ("internal", "streamID")}
        if isinstance(value, dict)
        else value
        for key, value in event.items()
    }


@contextmanager
def _interruptible(err: TextIO) -> Iterator[CancelToken]:
    """Let the first interrupt finish what runs, and the second stop at once."""
    token = CancelToken()

    def interrupt(_number: int, _frame: object) -> None:
        if token.cancelled:
            err.write("^C received; terminating\n")
            token.terminate()
        else:
            err.write(
                "^C received; cancelling. If you would like to terminate immediately, press ^C again.\n"
                "Note that terminating immediately may leave operations half done.\n"
            )
            token.cancel()
        err.flush()

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
