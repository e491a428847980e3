"""Between Pulumi's properties and AWS's members: requests by botocore's shapes, answers guided by the inputs.

Pulumi writes `fooBar` where the services write FooBar, foo-bar or fooBar, and a block that may occur once as an object
where they may have a list (or the other way round). Both are mapped here for all types; what differs by more is in the
table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_WORDS = re.compile(r"[^a-z0-9]")


class Missing:
    """The type of `MISSING`: the answer does not say."""


MISSING: Final = Missing()


def normal(name: str) -> str:
    """A name by which spellings compare equal."""
    return _WORDS.sub("", name.lower())


def member_of(names: Mapping[str, Any], wanted: str) -> str | None:
    """The member a property means: its own name, or its singular or plural."""
    by_normal = {normal(name): name for name in names}
    key = normal(wanted)
    for candidate in (key, f"{key}s", key[:-1] if key.endswith("s") else f"{key}es", f"{key}list"):
        if candidate in by_normal:
            return by_normal[candidate]
    return None


def to_request(shape: Any, value: Any) -> Any:
    """A property's value as a member of this botocore shape."""
    match shape.type_name:
        case "structure":
            return _structure(shape, value)
        case "list":
            return _list(shape, value)
        case "map":
            return {str(key): to_request(shape.value, item) for key, item in value.items()}
        case "string":
            if isinstance(value, dict | list):
                return json.dumps(value)
            return str(value).lower() if isinstance(value, bool) else str(value)
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case "blob":
            return value.encode() if isinstance(value, str) else value
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() in ("true", "enabled")
    return value


def _structure(shape: Any, value: Any) -> Any:
    members = shape.members
    if {"Quantity", "Items"} <= set(members) and not isinstance(value, dict):
        items = value if isinstance(value, list) else [value]
        return {"Quantity": len(items), "Items": to_request(members["Items"], items)}
    if isinstance(value, list):
        value = value[0] if value else {}
    request = {}
    # Without the look that `Watched` notes: what has no member was not taken.
    for key in list(dict.keys(value)):
        name = member_of(members, key)
        item = value[key] if name is not None else None
        if name is not None and item is not None:
            request[name] = to_request(members[name], item)
    if "Quantity" in members and "Items" in request:
        request.setdefault("Quantity", len(request["Items"]))
    return request


def _list(shape: Any, value: Any) -> Any:
    if isinstance(value, dict) and shape.member.type_name == "structure":
        keys = {normal(name): name for name in shape.member.members}
        if {"key", "value"} <= set(keys) and not {"key", "value"} <= {normal(key) for key in value}:
            return [{keys["key"]: key, keys["value"]: str(item)} for key, item in value.items()]
        if {"name", "value"} == set(keys) and not {"name", "value"} <= {normal(key) for key in value}:
            return [{keys["name"]: key, keys["value"]: str(item)} for key, item in value.items()]
    items = value if isinstance(value, list) else [value]
    return [to_request(shape.member, item) for item in items if item is not None]


def accepted(shape: Any, properties: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The request parameters an operation's input shape has a member for; `names` as in `Kind`."""
    request: dict[str, Any] = {}
    if shape is None:
        return request
    for key, value in properties.items():
        if value is None:
            continue
        outer, _, inner = names.get(key, "").partition(".")
        name = outer if outer in shape.members else member_of(shape.members, key) if not outer else None
        if name is None:
            continue
        member = shape.members[name]
        if inner:
            request.setdefault(name, {}).update(accepted(member, {inner: value}, {inner: inner}))
        else:
            request[name] = to_request(member, value)
    return request


def observed(like: Any, answer: Any) -> Any:
    """What the answer says of a value, in the spelling of `like`; `like` itself when it says the same."""
    if answer is None:
        return MISSING
    if isinstance(answer, dict) and "Quantity" in answer and not (isinstance(like, dict) and "items" in like):
        answer = answer.get("Items") or []
    if isinstance(like, dict):
        return _observed_object(like, answer)
    if isinstance(like, list):
        return _observed_list(like, answer)
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if equivalent(like, answer):
        return like
    if isinstance(answer, dict | list):
        return json.dumps(answer) if isinstance(like, str) else MISSING
    return answer


def _observed_object(like: dict[str, Any], answer: Any) -> Any:
    if isinstance(answer, list):
        pairs = _pairs(answer)
        if pairs is not None and not {"key", "value"} <= {normal(key) for key in like}:
            return like if equivalent(like, pairs) else pairs
        if len(answer) != 1:
            return MISSING
        answer = answer[0]
    if not isinstance(answer, dict):
        return MISSING
    found = dict(like)
    for key, value in like.items():
        name = member_of(answer, key)
        said = MISSING if name is None else observed(value, answer[name])
        if said is not MISSING:
            found[key] = said
    return found


def _pairs(answer: list[Any]) -> dict[str, Any] | None:
    """A list of key and value (or name and value) as the mapping it stands for."""
    pairs = {}
    for item in answer:
        if not isinstance(item, dict):
            return None
        by_normal = {normal(key): value for key, value in item.items()}
        name = by_normal.get("key", by_normal.get("name"))
        if name is None or "value" not in by_normal:
            return None
        pairs[str(name)] = by_normal["value"]
    return pairs


def _observed_list(like: list[Any], answer: Any) -> Any:
    items = answer if isinstance(answer, list) else [answer]
    if equivalent(like, items):
        return like
    if len(like) != len(items) or not all(isinstance(item, dict) for item in items):
        return [observed(like[0], item) for item in items] if like and isinstance(like[0], dict) else items
    found = [observed(one, other) for one, other in zip(like, items, strict=True)]
    return [one if said is MISSING else said for one, said in zip(like, found, strict=True)]


def equivalent(one: Any, other: Any) -> bool:
    """Whether two values mean the same: sets in another order, JSON with other blanks, "5" and 5."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equivalent(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and sorted(map(_order, one)) == sorted(map(_order, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() in _TRUTH.get(str(other).lower(), (str(other).lower(),))
    if isinstance(one, str) and one[:1] in ("{", "["):
        return _same_json(one, other)
    number = _number(one)
    return str(one).rstrip(".") == str(other).rstrip(".") or (number is not None and number == _number(other))


_TRUTH = {
    "true": ("true", "enabled"),
    "enabled": ("true", "enabled"),
    "false": ("false", "disabled"),
    "disabled": ("false", "disabled"),
}


def _order(item: Any) -> str:
    return json.dumps(item, sort_keys=True, default=str) if isinstance(item, dict | list) else str(item)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _same_json(one: str, other: Any) -> bool:
    try:
        documents = json.loads(one), json.loads(other) if isinstance(other, str) else other
    except ValueError:
        return bool(one == other)
    return bool(_canonical(documents[0]) == _canonical(documents[1]))


def _canonical(document: Any) -> Any:
    """A policy document with single values out of their lists, and lists in order."""
    if isinstance(document, dict):
        return {key: _canonical(value) for key, value in document.items() if value is not None}
    if isinstance(document, list):
        items = [_canonical(item) for item in document]
        return items[0] if len(items) == 1 else sorted(items, key=_order)
    return document
