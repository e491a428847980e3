"""Tags: the provider's default ones under the resource's own, set, changed and seen by each service's way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jmespath

from providers.aws.account import GoneError
from providers.aws.kind import Kind, Tagging
from providers.base.values import Properties

Call = Callable[..., Any]


class Tags:
    """The tags of one resource."""

    def __init__(self, kind: Kind, defaults: dict[str, str], call: Call) -> None:
        self._kind, self._defaults, self._call = kind, defaults, call

    def all(self, inputs: Properties) -> dict[str, str]:
        """The default tags with the resource's own over them; {} where the type has none."""
        if not self._takes_tags:
            return {}
        return {**self._defaults, **(inputs.get("tags") or {})}

    @property
    def _takes_tags(self) -> bool:
        return self._kind.tagging is not None

    def own(self, tags: dict[str, str], inputs: Properties) -> dict[str, str]:
        """What the resource's own tags are, out of all that were seen."""
        asked = inputs.get("tags") or {}
        return {key: value for key, value in tags.items() if key in asked or self._defaults.get(key) != value}

    def after_create(self, scope: Properties) -> None:
        """Tag what the create could not: where the type's create takes no tags."""
        tagging = self._kind.tagging
        if tagging is not None and not tagging.with_create and scope["tagsAll"]:
            self._add(tagging, scope, scope["tagsAll"])

    def change(self, scope: Properties, old: dict[str, str], new: dict[str, str]) -> None:
        """Bring the tags to what is wanted."""
        tagging = self._kind.tagging
        if tagging is None or "tags" in self._kind.recorded:
            return
        gone = [key for key in old if key not in new]
        if gone:
            self._call(tagging.remove, {**scope, "keys": gone}, {})
        added = {key: value for key, value in new.items() if old.get(key) != value}
        if added:
            self._add(tagging, scope, added)

    def _add(self, tagging: Tagging, scope: Properties, tags: dict[str, str]) -> None:
        self._call(tagging.add, {**scope, "tags": styled(tagging.style, tags)}, {})

    def seen(self, document: dict[str, Any], scope: Properties) -> dict[str, str] | None:
        """The tags as they are; None where nobody tells."""
        tagging = self._kind.tagging
        if tagging is None or "tags" in self._kind.recorded or not document:
            return None
        if tagging.show is None:
            return pairs(jmespath.search(tagging.at, document))
        try:
            answer = self._call(tagging.show, scope, {})
        except GoneError:
            return {}
        return pairs(jmespath.search(tagging.at, answer))


def styled(style: str, tags: dict[str, str]) -> Any:
    """Tags as a service takes them."""
    match style:
        case "list":
            return [{"Key": key, "Value": value} for key, value in tags.items()]
        case "lower":
            return [{"key": key, "value": value} for key, value in tags.items()]
    return dict(tags)


def pairs(tags: Any) -> dict[str, str]:
    """Tags as a service tells them, as a mapping; AWS's own left out."""
    if not tags:
        return {}
    if isinstance(tags, dict):
        found = tags
    else:
        found = {
            item.get("Key", item.get("key", item.get("TagKey"))): item.get(
                "Value", item.get("value", item.get("TagValue"))
            )
            for item in tags
        }
    return {str(key): str(value) for key, value in found.items() if not str(key).startswith("aws:")}
