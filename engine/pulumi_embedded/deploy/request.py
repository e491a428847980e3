"""What a command asks of the deployment engine, and what it gets back. Imports neither grpc nor pulumi."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pulumi_embedded.state.resource import ResourceState

if TYPE_CHECKING:
    from pulumi_embedded.deploy.launch import Launch

UpdateKind = Literal["preview", "up", "refresh", "destroy", "import"]

DEFAULT_PARALLEL = 16
"""Steps at once when `--parallel` is not given (the CLI's is four times the processors, at least 16)."""


class JournalWriter(Protocol):
    """The durable record of a running update (`backend/journal.py`).

    A writer may also have `append_many(entries)`, which makes a batch durable at once; it is used when it is there.
    """

    def append(self, entry: dict[str, Any]) -> None:
        """Write one entry; when this returns it survives a power cut."""


class CancelToken:
    """Tells a running update to stop. Safe to use from a signal handler and from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self.cancelled = False
        self.terminated = False

    def cancel(self) -> None:
        """Finish what runs, start nothing new."""
        self.cancelled = True
        self._tell()

    def terminate(self) -> None:
        """Stop now: running steps are abandoned and stay pending in the state."""
        self.cancelled = True
        self.terminated = True
        self._tell()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` at each `cancel` and `terminate` from now on, on the thread that asked for it."""
        with self._lock:
            self._listeners.append(listener)
        if self.cancelled:
            listener()

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()


@dataclass(frozen=True)
class ProviderPlugin:
    """A provider that Pulumi.yaml names by path (`plugins.providers`)."""

    name: str
    path: Path
    version: str = ""


@dataclass
class ProjectSpec:
    """What Pulumi.yaml says of the program."""

    name: str
    root: Path
    runtime: str = "python"
    runtime_options: dict[str, Any] = field(default_factory=dict)
    main: str = ""
    plugins: list[ProviderPlugin] = field(default_factory=list)


@dataclass(frozen=True)
class PolicyPackRef:
    """A local policy pack and the file with its configuration, if any."""

    path: Path
    config_path: Path | None = None


@dataclass(frozen=True)
class ImportSpec:
    """One resource that `pulumi import` brings in.

    `parent` and `provider` are URNs ("" = the stack, the default provider); `properties` are the only inputs to keep.
    """

    type: str
    name: str
    id: str = ""
    parent: str = ""
    provider: str = ""
    version: str = ""
    plugin_download_url: str = ""
    properties: tuple[str, ...] = ()
    component: bool = False
    remote: bool = False
    protect: bool = True


@dataclass
class UpdateOptions:
    """The flags of `preview`, `up`, `refresh`, `destroy` and `import` that the engine acts on.

    `targets`, `excludes` and `replace` are URNs, in which `*` and `**` are wildcards as the CLI reads them. Without
    `hears_debug` a program in a process of its own sends no debug messages: the SDK's are four calls a resource.
    """

    parallel: int = DEFAULT_PARALLEL
    refresh: bool = False
    run_program: bool = False
    continue_on_error: bool = False
    ignore_protect: bool = False
    targets: list[str] = field(default_factory=list)
    target_dependents: bool = False
    excludes: list[str] = field(default_factory=list)
    exclude_dependents: bool = False
    replace: list[str] = field(default_factory=list)
    policy_packs: list[PolicyPackRef] = field(default_factory=list)
    client: str = ""
    show_secrets: bool = False
    import_pending_creates: dict[str, str] = field(default_factory=dict)
    clear_pending_creates: bool = False
    imports: list[ImportSpec] = field(default_factory=list)
    log_to_stderr: bool = False
    hears_debug: bool = True


@dataclass
class UpdateRequest:
    """One run of the engine.

    `preview` with kind "refresh", "destroy" or "import" is that command's `--preview-only`; kind "preview" is the
    preview of "up". `config` maps "namespace:key" to the plain text as the program sees it (structured values as JSON
    text), `config_secret_keys` are those that hold secrets, `config_secrets` the secrets themselves, also those inside
    structures: no message shows them. `base` is the last checkpoint, journal already folded,
    secrets readable. `read_stack_outputs` answers StackReferences with another stack's outputs (secrets marked) or
    raises an EngineError. `launch` is the program's process, if it was started ahead.
    """

    kind: UpdateKind
    project: ProjectSpec
    stack: str
    organization: str = "organization"
    preview: bool = False
    config: dict[str, str] = field(default_factory=dict)
    config_secret_keys: list[str] = field(default_factory=list)
    config_secrets: list[str] = field(default_factory=list)
    base: list[ResourceState] = field(default_factory=list)
    pending_operations: list[tuple[str, ResourceState]] = field(default_factory=list)
    options: UpdateOptions = field(default_factory=UpdateOptions)
    read_stack_outputs: Callable[[str], dict[str, Any]] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    launch: Launch | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def dry_run(self) -> bool:
        """True when nothing may be changed."""
        return self.preview or self.kind == "preview"


@dataclass
class UpdateResult:
    """What a run did.

    `changes` counts steps by operation ("create", "same", ...); `resources` and `pending_operations` are the state
    after it, in an order in which dependencies come first; of a preview they are what was given. `findings` are the
    policy events that were emitted. `error` is one sentence when `ok` is False.
    """

    ok: bool
    changes: dict[str, int] = field(default_factory=dict)
    resources: list[ResourceState] = field(default_factory=list)
    pending_operations: list[tuple[str, ResourceState]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    duration_seconds: float = 0.0
    findings: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    cancelled: bool = False

    @property
    def has_changes(self) -> bool:
        """True when any step but "same" was, or would be, made."""
        return any(count for operation, count in self.changes.items() if operation != "same")
