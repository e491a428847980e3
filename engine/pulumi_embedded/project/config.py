"""Configuration values: plain, secret and structured, and the paths into them, with the CLI's rules.

A value is a tree of plain JSON values in which `Secure` marks a ciphertext. A top-level entry given on the command line
is always a text; inside a structure `true`, `false` and whole numbers are not.
Source: pulumi `sdk/go/common/resource/config/{object,map,key}.go`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pulumi_embedded.errors import ConfigError

Path = list[str | int]
Decrypt = Callable[[str], str]


@dataclass(frozen=True)
class Secure:
    """A secret text, encrypted."""

    ciphertext: str


def parse_value(raw: Any) -> Any:
    """Return the tree of a value as a settings file or a history file holds it."""
    if isinstance(raw, dict):
        if len(raw) == 1 and isinstance(raw.get("secure"), str):
            return Secure(raw["secure"])
        return {str(key): parse_value(item) for key, item in raw.items()}
    if isinstance(raw, list):
        return [parse_value(item) for item in raw]
    return raw


def dump_value(value: Any) -> Any:
    """Return a tree in the form that files hold."""
    if isinstance(value, Secure):
        return {"secure": value.ciphertext}
    if isinstance(value, dict):
        return {key: dump_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [dump_value(item) for item in value]
    return value


def is_secure(value: Any) -> bool:
    """Say whether a tree holds a secret."""
    if isinstance(value, dict):
        return any(is_secure(item) for item in value.values())
    if isinstance(value, list):
        return any(is_secure(item) for item in value)
    return isinstance(value, Secure)


def is_object(value: Any) -> bool:
    """Say whether a tree is more than one scalar."""
    return value is None or isinstance(value, dict | list)


def decrypt_value(value: Any, decrypt: Decrypt) -> Any:
    """Return the tree with its secrets in the clear."""
    if isinstance(value, Secure):
        return decrypt(value.ciphertext)
    if isinstance(value, dict):
        return {key: decrypt_value(item, decrypt) for key, item in value.items()}
    if isinstance(value, list):
        return [decrypt_value(item, decrypt) for item in value]
    return value


def secret_texts(value: Any, decrypt: Decrypt) -> list[str]:
    """Return every secret inside a tree in the clear."""
    if isinstance(value, Secure):
        return [decrypt(value.ciphertext)]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in secret_texts(item, decrypt)]


def encrypt_value(value: Any, encrypt: Callable[[str], str], decrypt: Decrypt) -> Any:
    """Return the tree with each secret encrypted anew (for another stack's key)."""
    if isinstance(value, Secure):
        return Secure(encrypt(decrypt(value.ciphertext)))
    if isinstance(value, dict):
        return {key: encrypt_value(item, encrypt, decrypt) for key, item in value.items()}
    if isinstance(value, list):
        return [encrypt_value(item, encrypt, decrypt) for item in value]
    return value


def to_text(value: Any, decrypt: Decrypt) -> str:
    """Return a value as a program reads it: a text as it is, anything else as JSON."""
    plain = decrypt_value(value, decrypt)
    if isinstance(plain, str):
        return plain
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def coerce(text: str) -> Any:
    """Return what a text inside a structure means: `true`, `false`, a whole number without leading zeros, or itself."""
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?[0-9]+", text) and not (len(text) > 1 and text[0] == "0") and abs(int(text)) < 2**64:
        return int(text)
    return text


def typed_value(text: str, kind: str) -> Any:
    """Return a text as the type that `config set --type` names.

    Raises:
        ConfigError: the text is not of that type, or there is no such type.
    """
    try:
        if kind == "string":
            return text
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
    except (ValueError, KeyError):
        raise ConfigError(f"'{text}' is not of type {kind}") from None
    raise ConfigError(f'invalid type "{kind}"; must be one of string, int, bool, or float')


def parse_key(text: str, project: str, *, path: bool = False) -> str:
    """Return `<namespace>:<name>`; a key without a namespace is the project's.

    Raises:
        ConfigError: the text is no configuration key.
    """
    if path:
        cut = next((index for index, char in enumerate(text) if char in "[."), 0)
        if cut > 0:
            return parse_key(text[:cut], project) + text[cut:]
    if ":" not in text:
        if not text:
            raise ConfigError("invalid configuration key: it is empty")
        return f"{project}:{text}"
    parts = text.split(":")
    if len(parts) == 3 and parts[1] == "config":
        return f"{parts[0]}:{parts[2]}"
    if len(parts) != 2 or not parts[0]:
        raise ConfigError(
            f"invalid configuration key: could not parse {text} as a configuration key "
            "(configuration keys should be of the form `<namespace>:<name>`)"
        )
    return text


def pretty_key(key: str, project: str) -> str:
    """Return a key without its namespace when that is the project's."""
    return key.removeprefix(f"{project}:")


_SEGMENT = re.compile(r"""\[(?:"((?:\\"|[^"])*)"|(-?[0-9]+)|(\*))\]|([^.\[]+)""")


def parse_path(text: str) -> Path:
    """Return the steps of a path such as `a.b[0]["c.d"]`.

    Raises:
        ConfigError: it is malformed.
    """
    path: Path = []
    position = 0
    while position < len(text):
        if text[position] == ".":
            position += 1
            if position == 1 or position == len(text) or text[position] in ".[":
                raise ConfigError(f"invalid config key path '{text}': expected a name after '.'")
        elif path and text[position] != "[":
            raise ConfigError(f"invalid config key path '{text}': expected '.' or '['")
        found = _SEGMENT.match(text, position)
        if not found:
            raise ConfigError(f"invalid config key path '{text}': missing closing bracket or quote, or a bad index")
        quoted, index, star, name = found.groups()
        path.append(int(index) if index is not None else star or name or (quoted or "").replace('\\"', '"'))
        position = found.end()
    if not path or not isinstance(path[0], str) or not path[0]:
        raise ConfigError(f"invalid config key path '{text}': its first segment must be a name")
    return path


def _split(key: str) -> tuple[str, Path]:
    namespace, _, name = key.partition(":")
    path = parse_path(name)
    return f"{namespace}:{path[0]}", path[1:]


def get(config: dict[str, Any], key: str, *, path: bool) -> tuple[bool, Any]:
    """Return whether there is a value at `key`, and it."""
    if not path:
        return key in config, config.get(key)
    root, rest = _split(key)
    if root not in config:
        return False, None
    value = config[root]
    for step in rest:
        if (isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)) or (
            isinstance(value, dict) and isinstance(step, str) and step in value
        ):
            value = value[step]  # type: ignore[index]
        else:
            return False, None
    return True, value


def set_value(config: dict[str, Any], key: str, value: Any, *, path: bool, coerced: bool = True) -> str:
    """Set the value at `key` and return the top-level key that changed.

    Args:
        config: changed in place.
        key: `<namespace>:<name>`; with `path` the name is a path.
        value: a tree.
        path: follow the path.
        coerced: inside a structure, let texts like `true` and `5` become what they look like.

    Raises:
        ConfigError: the path goes through a value of another kind, or beyond the end of a list.
    """
    if not path:
        config[key] = value
        return key
    root, rest = _split(key)
    if not rest:
        config[root] = value
        return root
    if coerced and isinstance(value, str):
        value = coerce(value)
    holder = config.get(root)
    if not isinstance(holder, list | dict):
        holder = _container(rest[0])  # a scalar at the first level is replaced, as the CLI does
    config[root] = _set_in(holder, rest, value, key)
    return root


def _container(step: str | int) -> Any:
    return [None] * (step + 1) if isinstance(step, int) and step == 0 else [] if isinstance(step, int) else {}


def _set_in(holder: Any, path: Path, value: Any, key: str) -> Any:
    if not path:
        return value
    step = path[0]
    if holder is None:
        holder = _container(step)
    if isinstance(holder, list):
        if not isinstance(step, int):
            raise ConfigError(f"{key}: key for an array must be an int")
        if not 0 <= step <= len(holder):
            raise ConfigError(f"{key}: array index out of range")
        if step == len(holder):
            holder.append(None)
        holder[step] = _set_in(holder[step], path[1:], value, key)
    elif isinstance(holder, dict):
        if not isinstance(step, str):
            raise ConfigError(f"{key}: key for a map must be a string")
        if len(path) == 1 and step == "secure" and isinstance(value, str) and not set(holder) - {"secure"}:
            raise ConfigError(f'{key}: maps with the single key "secure" are reserved')
        holder[step] = _set_in(holder.get(step), path[1:], value, key)
    else:
        raise ConfigError(f"{key}: expected {'an array' if isinstance(step, int) else 'a map'}")
    return holder


def remove(config: dict[str, Any], key: str, *, path: bool) -> str:
    """Remove the value at `key`, if there is one, and return the top-level key that changed.

    Raises:
        ConfigError: what would be left could not be told from a secret.
    """
    if not path:
        config.pop(key, None)
        return key
    root, rest = _split(key)
    if not rest:
        config.pop(root, None)
        return root
    holder = config.get(root)
    for step in rest[:-1]:
        if (isinstance(holder, list) and isinstance(step, int) and 0 <= step < len(holder)) or (
            isinstance(holder, dict) and isinstance(step, str) and step in holder
        ):
            holder = holder[step]  # type: ignore[index]
        else:
            return root
    last = rest[-1]
    if isinstance(holder, list) and isinstance(last, int) and 0 <= last < len(holder):
        del holder[last]
    elif isinstance(holder, dict) and last in holder:
        left = set(holder) - {last}
        if left == {"secure"} and isinstance(holder["secure"], str):
            raise ConfigError(f'{key}: maps with the single key "secure" are reserved')
        del holder[str(last)]
    return root


_SECRET_NAME = re.compile(r"passwd|pass|password|pwd|secret|token", re.IGNORECASE)


def looks_like_secret(key: str, text: str) -> bool:
    """Say whether a value given in the clear is likely a secret: its key says so and its text looks random.

    The CLI judges by zxcvbn's entropy of the first 16 characters (80 bits); here a text counts as random when those mix
    letters and digits and their alphabet makes for as many bits.
    """
    import math

    if not _SECRET_NAME.search(key.partition(":")[2]):
        return False
    head = text[:16]
    alphabet = sum(
        size
        for size, pattern in ((26, r"[a-z]"), (26, r"[A-Z]"), (10, r"[0-9]"), (33, r"[^A-Za-z0-9]"))
        if re.search(pattern, head)
    )
    random = re.search(r"[0-9]", head) and re.search(r"[A-Za-z]", head) and len(set(head)) > len(head) // 2
    return bool(random) and len(head) * math.log2(alphabet) >= 80
