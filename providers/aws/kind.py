"""How one resource type is described: which operations make, show, change and end it, and how names map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Scope = Mapping[str, Any]
"""What parameters are made from: outputs, over them inputs, and

- `id`, `region`, `account`, `urn`, `tagsAll`;
- `see()`, the description as it is now, and `ask(method, **parameters)`, a call of the service, for operations that
  need a look first;
- `was`, in an update: the old state.
"""

Parameter = Any
"""A fixed value, "$name" for a value of the scope, a function of the scope, or lists and dicts of these."""


@dataclass(frozen=True)
class Op:
    """One operation of the service.

    Attributes:
        name: boto3's method, or a function of the scope that chooses one; "" from it means that nothing is to do.
        fixed: parameters beside those that come from properties of the same name; they win.
        only: properties to send; None for all that the operation has a member for.
        names: property -> member (dotted for a member within), over the kind's own.
        changed_only: send only what an update changed.
        into: the member (dotted for one within) that the properties go into, where they are not parameters themselves.
        service: where it is not the kind's own.
    """

    name: str | Callable[[Scope], str]
    fixed: Mapping[str, Parameter] = field(default_factory=dict)
    only: tuple[str, ...] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    changed_only: bool = False
    into: str = ""
    service: str = ""


@dataclass(frozen=True)
class Setting:
    """An operation for some properties: after a create that sets one of them, and in an update that changes one.

    Attributes:
        off: the operation for when none of them is set any more.
        before: what an update does first; the scope has the old state as `was`.
    """

    on: tuple[str, ...]
    op: Op
    off: Op | None = None
    before: Op | None = None


@dataclass(frozen=True)
class More:
    """A further look, for what the first answer leaves out: the JMESPath `at` of its answer goes to the key `into`."""

    op: Op
    at: str
    into: str


@dataclass(frozen=True)
class Wait:
    """An eventual state: a JMESPath of the description, the values wanted and those that mean failure."""

    at: str
    until: tuple[Any, ...]
    failed: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Tagging:
    """How a kind is tagged.

    Attributes:
        add, remove, show: operations; the scope has `tags` as a dict to add, `keys` as a list to remove.
        at: JMESPath of the tags in the answer of `show`.
        style: "list" of Key and Value, "lower" with key and value, or "map".
        with_create: whether the create takes them.
    """

    add: Op
    remove: Op
    show: Op | None = None
    at: str = "Tags"
    style: str = "list"
    with_create: bool = True


@dataclass(frozen=True)
class Kind:
    """One resource type.

    Attributes:
        type: as in a URN.
        service: boto3's name.
        create, read, update, delete: operations; without `update` the settings do it all; without `delete` there is
            nothing to end (a setting of another resource).
        id: JMESPath in the create's answer, "$..." templates joined by the text between, from the scope,
            or a function of the answer and the scope.
        at: JMESPath of the description in the read's answer, or a function of the answer and the scope.
        names: property -> member, where they differ by more than case.
        answers: property -> JMESPath in the description, where they differ by more than case.
        outputs: output -> JMESPath in the description, or a "$..." template.
        replaces_on: properties only a new resource can have another value of.
        replaces_when: further ones, where that depends on the values: a function of old and new inputs.
        defaults: inputs filled in.
        autoname: the property that is named after the resource when it is not given, "" for none; `name_limit` long.
        settings, more, waits: what goes with create, read and both.
        prepare: changes the scope before parameters are made from it.
        tag_type: of EC2's TagSpecifications.
        tagging: None where the type has no tags.
        recorded: property -> why it is recorded, not emulated; "*" for the whole type.
        unread: properties that no AWS answers (write-only), so the recorded value stands.
        gone_when: JMESPath in the description that is true of one that has ended but is still told of.
        after: what is done after every create; the scope has its answer as `answer`.
        before_delete: what has to be done before every delete.
    """

    type: str
    service: str
    create: Op | None = None
    read: Op | None = None
    update: Op | None = None
    delete: Op | None = None
    id: str | Callable[[Any, Scope], str] = ""
    at: str | Callable[[Any, Scope], Any] = "@"
    names: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    replaces_on: tuple[str, ...] = ()
    replaces_when: Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[str, ...]] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    autoname: str = ""
    name_limit: int = 255
    settings: tuple[Setting, ...] = ()
    after: tuple[Op, ...] = ()
    before_delete: tuple[Op, ...] = ()
    more: tuple[More, ...] = ()
    waits: tuple[Wait, ...] = ()
    wait_gone: bool = False
    prepare: Callable[[dict[str, Any]], None] | None = None
    tag_type: str = ""
    tagging: Tagging | None = None
    recorded: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    gone_when: str = ""

    @property
    def name(self) -> str:
        """The last part of the type, such as "Instance"."""
        return self.type.rpartition(":")[2]


def described(kind: Kind, *aliases: str) -> list[Kind]:
    """The kind under its own type and under further ones."""
    from dataclasses import replace

    return [kind, *(replace(kind, type=alias) for alias in aliases)]
