"""The state of one resource, as the checkpoint keeps it (`apitype.ResourceV3`), with its secrets readable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pulumi_embedded.errors import StateError

# The order is that of the CLI's own struct, so that exported states compare line by line.
_KEYS: dict[str, str] = {
    "urn": "urn",
    "custom": "custom",
    "delete": "delete",
    "id": "id",
    "type": "type",
    "inputs": "inputs",
    "outputs": "outputs",
    "parent": "parent",
    "protect": "protect",
    "taint": "taint",
    "external": "external",
    "dependencies": "dependencies",
    "init_errors": "initErrors",
    "provider": "provider",
    "property_dependencies": "propertyDependencies",
    "pending_replacement": "pendingReplacement",
    "additional_secret_outputs": "additionalSecretOutputs",
    "aliases": "aliases",
    "custom_timeouts": "customTimeouts",
    "import_id": "importID",
    "retain_on_delete": "retainOnDelete",
    "deleted_with": "deletedWith",
    "replace_with": "replaceWith",
    "created": "created",
    "modified": "modified",
    "source_position": "sourcePosition",
    "stack_trace": "stackTrace",
    "ignore_changes": "ignoreChanges",
    "hide_diff": "hideDiff",
    "replace_on_changes": "replaceOnChanges",
    "replacement_trigger": "replacementTrigger",
    "refresh_before_update": "refreshBeforeUpdate",
    "view_of": "viewOf",
    "resource_hooks": "resourceHooks",
    "extension_ref": "extensionRef",
    "snippet_id": "snippetID",
}
_FIELDS = {key: name for name, key in _KEYS.items()}
_ALWAYS = {"urn", "custom", "type"}
_SORTED = {"property_dependencies", "resource_hooks"}

_TEXTS = ("urn", "type", "id", "parent", "provider", "deletedWith", "importID", "created", "modified", "viewOf")
_FLAGS = ("custom", "delete", "protect", "taint", "external", "pendingReplacement", "retainOnDelete")
_OBJECTS = ("inputs", "outputs", "customTimeouts")
_LISTS = (
    "dependencies", "replaceWith", "initErrors", "additionalSecretOutputs", "aliases", "ignoreChanges",
    "replaceOnChanges",
)  # fmt: skip
_LISTS_BY_NAME = ("propertyDependencies", "resourceHooks")


def check_shape(data: dict[str, Any]) -> None:
    """Check that what is known of a resource has the right kind of value.

    Raises:
        StateError: something has not; the message says what.
    """
    for kind, keys in ((str, _TEXTS), (bool, _FLAGS), (dict, _OBJECTS)):
        for key in keys:
            if key in data and data[key] is not None and not isinstance(data[key], kind):
                raise _misshapen(data, key)
    for key in _LISTS:
        if key in data and not _is_texts(data[key]):
            raise _misshapen(data, key)
    for key in _LISTS_BY_NAME:
        value = data.get(key)
        if value is not None and not (isinstance(value, dict) and all(_is_texts(item) for item in value.values())):
            raise _misshapen(data, key)
    for value in (data.get("customTimeouts") or {}).values():
        if not isinstance(value, int | float):
            raise _misshapen(data, "customTimeouts")


def _is_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _misshapen(data: dict[str, Any], key: str) -> StateError:
    return StateError(f"resource '{data.get('urn')}' in the state has a wrong value for '{key}'")


@dataclass(slots=True)
class ResourceState:
    """One resource. Secrets inside `inputs` and `outputs` are `{SIG: secret, "value": ...}` in memory.

    `created` and `modified` are RFC 3339 texts; `custom_timeouts` holds seconds; `hide_diff` holds property paths as
    lists; `extra` keeps keys that this version does not know, so that they are written back unchanged.
    """

    urn: str
    type: str
    custom: bool = False
    delete: bool = False
    id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    taint: bool = False
    external: bool = False
    dependencies: list[str] = field(default_factory=list)
    init_errors: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    pending_replacement: bool = False
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    import_id: str = ""
    retain_on_delete: bool = False
    deleted_with: str = ""
    replace_with: list[str] = field(default_factory=list)
    created: str = ""
    modified: str = ""
    source_position: str = ""
    stack_trace: list[dict[str, Any]] = field(default_factory=list)
    ignore_changes: list[str] = field(default_factory=list)
    hide_diff: list[list[Any]] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    replacement_trigger: Any = None
    refresh_before_update: bool = False
    view_of: str = ""
    resource_hooks: dict[str, list[str]] = field(default_factory=dict)
    extension_ref: str = ""
    snippet_id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ResourceState:
        """Read a resource of a deployment (its secrets already readable).

        Raises:
            StateError: a required key is missing or a key holds the wrong kind of value.
        """
        urn = data.get("urn")
        if not isinstance(urn, str) or not urn:
            raise StateError("a resource in the state has no 'urn'")
        if not data.get("type"):
            raise StateError(f"resource '{urn}' in the state has no 'type'")
        check_shape(data)
        if not data.get("custom") and data.get("id"):
            raise StateError(f"resource '{urn}' in the state has 'custom' false but an id")
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, value in data.items():
            name = _FIELDS.get(key)
            if name is None:
                extra[key] = value
            elif value is not None:
                known[name] = value
        return cls(**known, extra=extra)

    def to_json(self) -> dict[str, Any]:
        """Return the resource as the CLI writes it: empty values left out, keys in the CLI's order."""
        data: dict[str, Any] = {}
        for name, key in _KEYS.items():
            value = getattr(self, name)
            if name in _ALWAYS or (name == "replacement_trigger" and value is not None) or value:
                data[key] = dict(sorted(value.items())) if name in _SORTED else value
        data.update(self.extra)
        return data
