"""What a program asks for when it registers a resource, and what it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pulumi_embedded.properties import Properties
from pulumi_embedded.state.resource import ResourceState

ResultKind = Literal["success", "failed", "skipped"]

HOOK_TYPES = {
    "before_create": "BeforeCreate",
    "after_create": "AfterCreate",
    "before_update": "BeforeUpdate",
    "after_update": "AfterUpdate",
    "before_delete": "BeforeDelete",
    "after_delete": "AfterDelete",
    "on_error": "OnError",
}
"""Fields of the wire's hook bindings, and the names under which the state keeps them."""


@dataclass(frozen=True, slots=True)
class AliasSpec:
    """One alias: a whole URN, or the parts of it that differ."""

    urn: str = ""
    name: str = ""
    type: str = ""
    stack: str = ""
    project: str = ""
    parent: str = ""
    no_parent: bool = False


@dataclass(slots=True)
class Goal:
    """The state a program wants a resource to be in. None means that the program did not say."""

    type: str
    name: str
    custom: bool
    properties: Properties = field(default_factory=dict)
    parent: str = ""
    protect: bool | None = None
    dependencies: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    delete_before_replace: bool | None = None
    ignore_changes: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[AliasSpec] = field(default_factory=list)
    import_id: str = ""
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    replace_on_changes: list[str] = field(default_factory=list)
    replacement_trigger: Any = None
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    replace_with: list[str] = field(default_factory=list)
    hide_diff: list[Any] = field(default_factory=list)
    source_position: str = ""
    stack_trace: list[dict[str, Any]] = field(default_factory=list)
    resource_hooks: dict[str, list[str]] = field(default_factory=dict)

    def new_state(self, urn: str, old: ResourceState | None, alias: str) -> ResourceState:
        """Return the state this goal leads to, before anything is done."""
        return ResourceState(
            urn=urn,
            type=self.type,
            custom=self.custom,
            inputs=self.properties,
            parent=self.parent,
            protect=bool(self.protect),
            dependencies=list(self.dependencies),
            provider=self.provider,
            property_dependencies=self.property_dependencies,
            additional_secret_outputs=list(self.additional_secret_outputs),
            aliases=[alias] if alias else [],
            custom_timeouts=self.custom_timeouts,
            import_id=self.import_id,
            retain_on_delete=bool(self.retain_on_delete),
            deleted_with=self.deleted_with,
            replace_with=list(self.replace_with),
            created=old.created if old else "",
            modified=old.modified if old else "",
            source_position=self.source_position,
            stack_trace=self.stack_trace,
            ignore_changes=list(self.ignore_changes),
            hide_diff=self.hide_diff,
            replace_on_changes=list(self.replace_on_changes),
            replacement_trigger=self.replacement_trigger,
            refresh_before_update=old.refresh_before_update if old else False,
            resource_hooks=self.resource_hooks,
        )


@dataclass(slots=True)
class ReadRequest:
    """A program's wish to read a resource that exists."""

    type: str
    name: str
    id: str
    parent: str = ""
    provider: str = ""
    properties: Properties = field(default_factory=dict)
    dependencies: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    source_position: str = ""
    stack_trace: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class RegisterResult:
    """What the program is told of a registration or a read."""

    state: ResourceState
    result: ResultKind = "success"
    unknown: bool = False
