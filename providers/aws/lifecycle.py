"""What becomes of one resource: made, looked at, changed and ended as its kind says."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jmespath

from providers.aws.account import Account, GoneError
from providers.aws.kind import Kind, Op, Setting
from providers.aws.scope import camel, expressed, filled, mentioned
from providers.aws.shapes import MISSING, accepted, member_of, observed
from providers.aws.tagging import Tags
from providers.aws.watched import EMPTY, Watched, left_out, watched
from providers.base.diffing import same
from providers.base.provider import PartlyMadeError, ProviderError
from providers.base.values import Properties

# Inputs that are about the resource, not of it.
BESIDE = frozenset({"__defaults", "region", "tags", "tagsAll"})
WHOLE = "*"
# The output that names what of the inputs is only kept in the state; `up --emulated` tells it.
RECORDED = "__recorded"
DEFAULT_TIMEOUT_SECONDS = 20 * 60
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.05, 2.0


@dataclass(frozen=True)
class Seen:
    """A resource as it was seen.

    Attributes:
        inputs: with what was observed in place of what was asked for.
        outputs: all of them.
        unobserved: inputs that the answers do not tell, and paths within inputs that no operation was sent.
    """

    inputs: Properties
    outputs: Properties
    unobserved: tuple[str, ...] = ()


class Lifecycle:
    """The operations of one kind for one resource, in one region.

    Args:
        default_tags: the provider's own; they lie under the resource's.
    """

    def __init__(self, account: Account, kind: Kind, urn: str, region: str, default_tags: dict[str, str]) -> None:
        self._account, self._kind, self._urn, self._region = account, kind, urn, region
        self._tags = Tags(kind, default_tags, self._call)
        self._watched: Properties = {}

    def create(self, inputs: Properties, timeout_seconds: float) -> tuple[str, Properties]:
        """Make it; returns id and outputs.

        Raises:
            PartlyMadeError: it is there, but not all that was asked for came about.
            ProviderError: it is not there.
        """
        self._watched = {name: watched(value) for name, value in inputs.items() if name not in BESIDE}
        kind, scope = self._kind, self._scope({}, inputs, "")
        answer: Any = {}
        if kind.create is not None and WHOLE not in kind.recorded:
            answer = self._call(kind.create, scope, self._sent(inputs), creating=True)
        known = {**_leaves(answer), **scope}
        told = kind.id(answer, known) if callable(kind.id) else expressed(kind.id, answer, known)
        resource_id = str(told or "")
        if not resource_id:
            raise ProviderError(f"{self._urn}: {kind.service} made it but told no id.")
        scope = {**self._scope(_leaves(answer), inputs, resource_id), "answer": answer}
        try:
            if WHOLE not in kind.recorded:
                self._settle(scope, timeout_seconds)
                scope = {**scope, **self._outputs({}, scope, {})}
                for op in kind.after:
                    self._call(op, scope, {})
                self._apply(kind.settings, scope, {key for key, value in inputs.items() if value is not None})
                self._tags.after_create(scope)
            return resource_id, self.look(resource_id, inputs, _told(_leaves(answer), {})).outputs
        except ProviderError as error:
            # Of something it refers to the services say that it is not found, as they do of the thing itself.
            raise PartlyMadeError(str(error), resource_id, {**inputs, "tagsAll": self._tags.all(inputs)}) from None

    def look(self, resource_id: str, inputs: Properties, state: Properties) -> Seen:
        """See how it is.

        Raises:
            GoneError: it is not there.
        """
        kind, scope = self._kind, self._scope(state, inputs, resource_id)
        if WHOLE in kind.recorded or kind.read is None:
            document: dict[str, Any] = {}
        else:
            document = self._describe(scope)
        now, unobserved = dict(inputs), []
        for name, value in inputs.items():
            if name in BESIDE or name in kind.recorded or name in kind.unread or not document:
                continue
            said = self._said(name, value, document)
            if said is MISSING:
                unobserved.append(name)
            else:
                now[name] = said
        told = self._outputs(document, scope, state)
        tags = self._tags.seen(document, {**scope, **told})
        if "tags" in inputs and tags is not None:
            now["tags"] = self._tags.own(tags, inputs)
        outputs = {**_told(document, state), **now, **told}
        outputs.pop("__defaults", None)
        if kind.tagging or "tags" in inputs:
            outputs["tagsAll"] = tags if tags is not None else self._tags.all(now)
        outputs["region"] = self._region
        outputs.pop(RECORDED, None)
        looked = {name for name, value in self._watched.items() if _is_looked_at(value)}
        unobserved += self._left_out()
        unobserved += [it for it in state.get(RECORDED) or [] if "." in it and it.partition(".")[0] not in looked]
        # A default of ours, or what asks for nothing, is no promise that could be kept or not.
        silent = {name for name, value in inputs.items() if value in EMPTY} | set(inputs.get("__defaults") or [])
        if kept := sorted(set(unobserved) - silent):
            outputs[RECORDED] = kept
        return Seen(now, outputs, tuple(unobserved))

    def update(
        self, resource_id: str, old: Properties, state: Properties, new: Properties, timeout_seconds: float
    ) -> Properties:
        """Change it in place; returns all outputs.

        Raises:
            ProviderError: no operation changes what has to change.
        """
        self._watched = {name: watched(value) for name, value in new.items() if name not in BESIDE}
        # An input that is given no longer is not to be sent again as the state remembers it.
        present = {name: value for name, value in state.items() if name not in old or name in new}
        kind, scope = self._kind, {**self._scope(present, new, resource_id), "was": state}
        changed = {name for name in {*old, *new} if not same(old.get(name), new.get(name))} - BESIDE
        if WHOLE in kind.recorded:
            return self.look(resource_id, new, state).outputs
        by_settings = {name for setting in kind.settings for name in setting.on}
        rest = changed - by_settings - set(kind.recorded)
        if rest:
            self._change(rest, scope, new)
        try:
            self._apply(kind.settings, scope, changed)
            if not same(state.get("tagsAll") or {}, self._tags.all(new)):
                self._tags.change(scope, state.get("tagsAll") or {}, self._tags.all(new))
            self._settle(scope, timeout_seconds)
        except ProviderError as error:
            raise PartlyMadeError(str(error), resource_id, {**state, **new}) from None
        kept = {name: value for name, value in state.items() if name not in old}
        return self.look(resource_id, new, kept).outputs

    def delete(self, resource_id: str, inputs: Properties, state: Properties, timeout_seconds: float) -> None:
        """End it; one that is gone already is no error."""
        kind, scope = self._kind, self._scope(state, inputs, resource_id)
        if WHOLE in kind.recorded:
            return
        for op in (*kind.before_delete, *((kind.delete,) if kind.delete else ())):
            try:
                self._call(op, scope, {})
            except GoneError:
                continue
            except ProviderError:
                # Some services refuse to end what has ended instead of not knowing it.
                if kind.read is None or not self._is_gone(scope):
                    raise
        if kind.wait_gone:
            self._until(lambda: self._is_gone(scope), "end", timeout_seconds)

    # How it is done.

    def _left_out(self) -> list[str]:
        """Paths within inputs that no operation was sent; an update that changes one property alone sends no others."""
        if WHOLE in self._kind.recorded:
            return []
        return [
            path
            for name, value in self._watched.items()
            if name not in self._kind.recorded and _is_looked_at(value)
            for path in left_out(value, name)
        ]

    def _scope(self, outputs: Properties, inputs: Properties, resource_id: str) -> Properties:
        given = {key: self._watched.get(key, value) for key, value in inputs.items() if value is not None}
        scope = {**outputs, **given}
        scope |= {"id": resource_id, "region": self._region, "account": self._account.account_id, "urn": self._urn}
        scope["tagsAll"] = self._tags.all(inputs)
        scope["see"] = lambda: self._describe(scope)
        scope["ask"] = lambda method, **parameters: self._account.call(
            self._urn, self._kind.service, self._region, method, parameters
        )
        if self._kind.prepare is not None:
            self._kind.prepare(scope)
        return scope

    def _sent(self, inputs: Properties) -> Properties:
        """The inputs as a create sends them: with all tags."""
        sent = {key: value for key, value in inputs.items() if key not in ("__defaults", "region", "tagsAll")}
        if "tags" in sent or self._kind.tagging:
            sent["tags"] = self._tags.all(inputs)
        return sent

    def _call(self, op: Op, scope: Properties, properties: Properties, *, creating: bool = False) -> Any:
        method = op.name if isinstance(op.name, str) else op.name(scope)
        if not method:
            return {}
        service = op.service or self._kind.service
        names = {**self._kind.names, **op.names}
        if op.only is not None:
            properties = {key: scope.get(key) for key in op.only}
        prepared = {key: scope[key] if key in scope and key != "tags" else value for key, value in properties.items()}
        shape = self._account.input_shape(service, self._region, method)
        path = op.into.split(".") if op.into else []
        for part in path:
            shape = shape.members[part]
        parameters = accepted(shape, prepared, names)
        for part in reversed(path):
            parameters = {part: parameters}
        parameters = _merged(parameters, filled(op.fixed, scope))
        if creating and self._kind.tag_type and scope["tagsAll"]:
            tags = [{"Key": key, "Value": value} for key, value in scope["tagsAll"].items()]
            parameters["TagSpecifications"] = [{"ResourceType": self._kind.tag_type, "Tags": tags}]
        return self._account.call(self._urn, service, self._region, method, parameters)

    def _describe(self, scope: Properties) -> dict[str, Any]:
        kind = self._kind
        assert kind.read is not None
        answer = self._call(kind.read, scope, {})
        document = kind.at(answer, scope) if callable(kind.at) else jmespath.search(kind.at, answer)
        if document in (None, [], {}) or (kind.gone_when and jmespath.search(kind.gone_when, document)):
            raise GoneError(f"{self._urn}: {kind.service} knows no {scope['id']}.")
        document = dict(document) if isinstance(document, dict) else {"value": document}
        for more in kind.more:
            try:
                document[more.into] = jmespath.search(more.at, self._call(more.op, {**document, **scope}, {}))
            except GoneError:
                document[more.into] = None
        return document

    def _said(self, name: str, value: Any, document: dict[str, Any]) -> Any:
        if name in self._kind.answers:
            return observed(value, jmespath.search(self._kind.answers[name], document))
        renamed = self._kind.names.get(name)
        if renamed:
            return observed(value, jmespath.search(renamed, document))
        member = member_of(document, name)
        return MISSING if member is None else observed(value, document[member])

    def _outputs(self, document: dict[str, Any], scope: Properties, state: Properties) -> Properties:
        found = {}
        for name, expression in self._kind.outputs.items():
            value = expressed(expression, document, {**document, **scope})
            found[name] = state.get(name) if value is None else value
        return {name: value for name, value in found.items() if value is not None}

    def _apply(self, settings: Iterable[Setting], scope: Properties, changed: set[str]) -> None:
        for setting in settings:
            if not changed.intersection(setting.on):
                continue
            if setting.before is not None and "was" in scope:
                self._call(setting.before, scope, {})
            if any(scope.get(name) not in (None, []) for name in setting.on):
                self._call(setting.op, scope, {name: scope.get(name) for name in setting.on})
            elif setting.off is not None:
                self._call(setting.off, scope, {})

    def _change(self, changed: set[str], scope: Properties, new: Properties) -> None:
        """One update for these properties; those that nobody tells may be the provider's own, and need none."""
        op, unread = self._kind.update, set(self._kind.unread)
        taken = set() if op is None else self._takes(op, scope, new)
        lacking = {name for name in changed - taken - unread if op is None or new.get(name) is not None}
        if lacking:
            raise ProviderError(
                f"{self._urn}: {self._kind.service} cannot change {', '.join(sorted(lacking))} of a {self._kind.name} "
                "in place here."
            )
        if op is not None and (changed & taken or changed - unread):
            sent = {name: value for name, value in self._sent(new).items() if not op.changed_only or name in changed}
            self._call(op, scope, sent)

    def _takes(self, op: Op, scope: Properties, new: Properties) -> set[str]:
        """The properties that an update's operation takes."""
        method = op.name if isinstance(op.name, str) else op.name(scope)
        shape = self._account.input_shape(op.service or self._kind.service, self._region, method)
        for part in op.into.split(".") if op.into else ():
            shape = shape.members[part]
        names = {**self._kind.names, **op.names}
        by_member = {name for name, value in new.items() if value is not None and accepted(shape, {name: value}, names)}
        return by_member | set(mentioned(op.fixed)) | set(op.only or ())

    def _settle(self, scope: Properties, timeout_seconds: float) -> None:
        for wait in self._kind.waits:

            def there(wait: Any = wait) -> bool:
                state = jmespath.search(wait.at, self._describe(scope))
                if state in wait.failed:
                    raise ProviderError(f"{self._urn}: {self._kind.service} ended in the state {state}.")
                return state in wait.until

            self._until(there, f"come to {' or '.join(map(str, wait.until))}", timeout_seconds)

    def _is_gone(self, scope: Properties) -> bool:
        try:
            self._describe(scope)
        except GoneError:
            return True
        return False

    def _until(self, condition: Any, what: str, timeout_seconds: float) -> None:
        seconds = timeout_seconds or DEFAULT_TIMEOUT_SECONDS
        deadline = time.monotonic() + seconds
        pause = _FIRST_WAIT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise ProviderError(f"{self._urn}: {self._kind.service} did not {what} within {seconds:.0f} s.")
            self._account.sleep(pause)
            pause = min(pause * 2, _LONGEST_WAIT_SECONDS)


def _is_looked_at(value: Any) -> bool:
    """Whether an operation looked into a watched value at all."""
    if isinstance(value, list):
        return any(map(_is_looked_at, value))
    return isinstance(value, Watched) and bool(value.taken)


def _merged(one: Properties, other: Properties) -> Properties:
    """Both, the other's over the first's, at any depth."""
    merged = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _leaves(answer: Any) -> Properties:
    """What a create's answer tells beside the id, for the settings that follow: its members and those one level in."""
    found: Properties = {}
    if isinstance(answer, dict):
        answer = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
        for value in answer.values():
            if isinstance(value, dict):
                found |= {camel(key): item for key, item in value.items()}
        found |= {camel(key): value for key, value in answer.items() if not isinstance(value, dict)}
    return found


def _told(document: dict[str, Any], state: Properties) -> Properties:
    """What the description tells, in Pulumi's spelling, as far as it is plain, over the state."""
    plain = {camel(key): value for key, value in document.items() if isinstance(value, str | int | float | bool)}
    return {**state, **plain}
