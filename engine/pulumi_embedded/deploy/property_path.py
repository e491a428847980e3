"""Property paths such as `tags.Name` or `rules[0].port`, as `ignoreChanges` and `replaceOnChanges` use them.

Source: pulumi `sdk/go/common/resource/properties_path.go`.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from pulumi_embedded.properties import Properties, is_secret, make_secret, unwrap_secret

Path = list[str | int]

_NEEDS_QUOTES = re.compile(r"[^A-Za-z0-9_]")


def parse_path(text: str) -> Path:
    """Split a property path into names and indices.

    Raises:
        ValueError: the path is malformed.
    """
    path: Path = []
    if text.startswith("."):
        raise ValueError("expected property path to start with a name or index")
    while text:
        if text[0] == ".":
            text = text[1:]
            if not text:
                raise ValueError("expected property path to end with a name or index")
        elif text[0] == "[":
            element, text = _bracket(text)
            path.append(element)
        else:
            end = next((i for i, char in enumerate(text) if char in ".["), len(text))
            path.append(text[:end])
            text = text[end:]
    return path


def _bracket(text: str) -> tuple[str | int, str]:
    if text.startswith('["'):
        key, i = "", 2
        while True:
            if i >= len(text):
                raise ValueError("missing closing quote in property name")
            if text[i] == '"':
                i += 1
                break
            if text.startswith('\\"', i):
                key, i = key + '"', i + 2
            else:
                key, i = key + text[i], i + 1
        if i >= len(text) or text[i] != "]":
            raise ValueError("missing closing bracket in property access")
        return key, text[i + 1 :]
    close = text.find("]")
    if close < 0:
        raise ValueError("missing closing bracket in array index")
    segment = text[1:close]
    if segment == "*":
        return "*", text[close + 1 :]
    try:
        return int(segment), text[close + 1 :]
    except ValueError:
        raise ValueError(f"invalid array index: {segment}") from None


def path_text(path: Path) -> str:
    """Return the path as text, quoting names that need it."""
    text = ""
    for element in path:
        if isinstance(element, int):
            text += f"[{element}]"
        elif _NEEDS_QUOTES.search(element):
            quoted = element.replace('"', '\\"')
            text += f'["{quoted}"]'
        else:
            text += f".{element}" if text else element
    return text


def contains(path: Path, other: Path) -> bool:
    """Say whether `other` is `path` or lies below it; `*` in `path` matches any one element."""
    if len(other) < len(path):
        return False
    return all(mine == "*" or (type(mine) is type(theirs) and mine == theirs) for mine, theirs in zip(path, other))  # noqa: B905


def reset(inputs: Properties, old_inputs: Properties, paths: list[str]) -> tuple[Properties, list[str]]:
    """Return `inputs` with the values at `paths` taken from `old_inputs`, and the paths where that cannot be done."""
    if not paths:
        return inputs, []
    result = copy.deepcopy(inputs)
    invalid = []
    for text in paths:
        try:
            path = parse_path(text)
        except ValueError:
            continue
        if path and not _reset(path, old_inputs, result, old_secret=False, new_secret=False):
            invalid.append(text)
    return result, invalid


def _reset(path: Path, old: Any, new: Any, *, old_secret: bool, new_secret: bool) -> bool:
    old_secret = old_secret or is_secret(old)
    new_secret = new_secret or is_secret(new)
    old, new = unwrap_secret(old), unwrap_secret(new)
    key, rest = path[0], path[1:]

    def kept(value: Any) -> Any:
        value = copy.deepcopy(value)
        return make_secret(value) if old_secret and not new_secret else value

    def deeper(old_value: Any, new_value: Any) -> bool:
        return _reset(rest, old_value, new_value, old_secret=old_secret, new_secret=new_secret)

    if isinstance(key, int):
        return _reset_index(key, rest, old, new, kept, deeper)
    if key == "*":
        return _reset_all(rest, old, new, kept, deeper)
    if not rest:
        if isinstance(old, dict) and key in old:
            if not isinstance(new, dict):
                return False
            new[key] = kept(old[key])
        elif isinstance(new, dict):
            new.pop(key, None)
        return True
    if not isinstance(old, dict) or not isinstance(new, dict):
        return not isinstance(old, dict) and not isinstance(new, dict)
    if key not in old and key not in new:
        return True
    if key in old and key in new:
        return deeper(old[key], new[key])
    if key in new:
        return deeper(None, new[key])
    return False


def _reset_index(key: int, rest: Path, old: Any, new: Any, kept: Any, deeper: Any) -> bool:
    if key < 0:
        return False
    if not isinstance(old, list) or not isinstance(new, list):
        return not isinstance(old, list) and not isinstance(new, list)
    if key >= len(old) or key >= len(new):
        return not rest and key >= len(old) and key >= len(new)
    if not rest:
        new[key] = kept(old[key])
        return True
    return bool(deeper(old[key], new[key]))


def _reset_all(rest: Path, old: Any, new: Any, kept: Any, deeper: Any) -> bool:
    if not rest:
        if isinstance(new, dict):
            if isinstance(old, dict):
                for key in [key for key in new if key not in old]:
                    del new[key]
                new.update({key: kept(value) for key, value in old.items()})
            return True
        if isinstance(new, list):
            if isinstance(old, list):
                for index in range(min(len(old), len(new))):
                    new[index] = kept(old[index])
                return len(old) == len(new)
            return True
        return False
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and deeper(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return all(deeper(one, other) for one, other in zip(old, new)) and len(old) == len(new)  # noqa: B905
    return False
