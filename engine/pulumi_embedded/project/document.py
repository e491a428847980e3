"""A settings file as a document that can be changed one entry at a time, keeping its comments and its order.

YAML is read with the rules of YAML 1.2 that the CLI's reader keeps (`yes` and `12:30:45` are texts), never evaluated,
and with a limit on its size after aliases are followed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from pulumi_embedded.backend.files import MAX_SETTINGS_BYTES, read_limited, write_atomic
from pulumi_embedded.errors import ConfigError, StateError

_MAX_VALUES = 200_000
_PLAIN_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~", ""}
_NUMBERLIKE = re.compile(r"^[-+.]?[0-9.]|^[-+]?\.(inf|nan)$", re.IGNORECASE)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalar rules of YAML 1.2."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+|0o[0-7]+)$", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$",
        "-+0123456789.",
    ),
    ("tag:yaml.org,2002:merge", r"^<<$", "<"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node), 0) if "0" in node.value[:2] and len(node.value) > 1 else int(node.value)


def _construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)).replace(".inf", "inf").replace(".nan", "nan").lower())


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, lists indented, texts quoted wherever either YAML version would read something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    quote = text.lower() in _PLAIN_WORDS or _NUMBERLIKE.match(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quote else None)


_Dumper.add_representer(str, _represent_text)


def _dump(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31, indent=2))


def _bounded(value: Any, seen: list[int]) -> Any:
    """Copy a parsed value, keys as texts, refusing one that aliases make huge."""
    seen[0] += 1
    if seen[0] > _MAX_VALUES:
        raise ConfigError(f"it holds more than {_MAX_VALUES} values once its aliases are followed")
    if isinstance(value, dict):
        return {_key_text(key): _bounded(item, seen) for key, item in value.items()}
    if isinstance(value, list):
        return [_bounded(item, seen) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(f"it holds a value of a kind that settings cannot have ({type(value).__name__})")


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key, default=str)


class SettingsDocument:
    """One settings file: its text, and its data as plain dicts and lists."""

    def __init__(self, path: Path, text: str) -> None:
        """Parse `text`.

        Raises:
            ConfigError: it is not a YAML (or JSON) mapping.
        """
        self.path = path
        self.text = text
        try:
            data = _bounded(yaml.load(text, Loader=_Loader), [0])  # noqa: S506 - a SafeLoader with other scalar rules
        except yaml.MarkedYAMLError as error:
            where = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise ConfigError(f"{path} is not valid YAML{where}: {error.problem or 'malformed'}") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from None
        except ConfigError as error:
            raise ConfigError(f"{path} cannot be used: {error}") from None
        if data is not None and not isinstance(data, dict):
            raise ConfigError(f"{path} is not a settings file: it has to be a mapping of keys to values")
        self.data: dict[str, Any] = data or {}

    @classmethod
    def read(cls, path: Path) -> SettingsDocument | None:
        """Return the file at `path`, None when there is none.

        Raises:
            ConfigError: it cannot be read or parsed, or is larger than 4 MB.
        """
        try:
            return cls(path, read_limited(path, MAX_SETTINGS_BYTES).decode("utf-8-sig"))
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise ConfigError(f"{path} is not valid YAML: it is not UTF-8 text") from None
        except StateError as error:
            raise ConfigError(str(error)) from None

    def set(self, parents: tuple[str, ...], key: str, value: Any) -> None:
        """Set `key` within the mapping named by `parents` (nothing, or `config`)."""
        target = self.data
        for parent in parents:
            if not isinstance(target.get(parent), dict):
                target[parent] = {}
            target = target[parent]
        target[key] = value
        self._edit(parents, key, value, remove=False)

    def remove(self, parents: tuple[str, ...], key: str) -> None:
        """Remove `key` from the mapping named by `parents`, and the mapping when it is empty then."""
        target = self.data
        for parent in parents:
            if not isinstance(target.get(parent), dict):
                return
            target = target[parent]
        if key not in target:
            return
        del target[key]
        if not target and parents:
            self.remove(parents[:-1], parents[-1])
            return
        self._edit(parents, key, None, remove=True)

    def save(self) -> None:
        """Write the file, whole or not at all. An empty document is an empty file, as the CLI leaves it."""
        write_atomic(self.path, self.text.encode(), mode=0o644)

    def _edit(self, parents: tuple[str, ...], key: str, value: Any, *, remove: bool) -> None:
        edited = None
        if self.path.suffix != ".json":
            edited = _edit_text(self.text, parents, key, value, remove=remove)
        if edited is not None and _same(edited, self.data):
            self.text = edited
        elif self.path.suffix == ".json":
            self.text = json.dumps(self.data, indent=4) + "\n"
        else:
            self.text = _dump(self.data) if self.data else ""


def _same(text: str, data: dict[str, Any]) -> bool:
    """Say whether an edited text means `data`: if not, the edit is given up for a fresh dump."""
    try:
        return (yaml.load(text, Loader=_Loader) or {}) == data  # noqa: S506 - as above
    except (yaml.YAMLError, ValueError):
        return False


def _last_line(node: yaml.Node) -> int:
    """Return the last line that belongs to a node, comments after it left out."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1])
    end = node.end_mark
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)


def _find(mapping: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    for key_node, value_node in mapping.value:
        if isinstance(key_node, yaml.ScalarNode) and key_node.value == key:
            return key_node, value_node
    return None


def _edit_text(text: str, parents: tuple[str, ...], key: str, value: Any, *, remove: bool) -> str | None:
    """Return `text` with one entry changed, or None where the text has a form that is not edited in place."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError:
        return None
    lines = text.splitlines()
    if root is None:
        rendered = _render(key, value, 0) if not parents else _render(parents[0], {key: value}, 0)
        return "\n".join([*lines, *rendered]) + "\n" if not remove and len(parents) < 2 else None
    mapping: yaml.Node = root
    for parent in parents:
        found = _find(mapping, parent) if isinstance(mapping, yaml.MappingNode) else None
        if found is None:
            return (
                _edit_text(text, parents[:-1], parents[-1], {key: value}, remove=remove) if len(parents) == 1 else None
            )
        mapping = found[1]
    if not isinstance(mapping, yaml.MappingNode) or mapping.flow_style or not mapping.value:
        return None
    column = mapping.value[0][0].start_mark.column
    entry = _find(mapping, key)
    if entry is None:
        end = _last_line(mapping) + 1
        return None if remove else "\n".join([*lines[:end], *_render(key, value, column), *lines[end:]]) + "\n"
    start, end = entry[0].start_mark.line, _last_line(entry[1]) + 1
    return "\n".join([*lines[:start], *([] if remove else _render(key, value, column)), *lines[end:]]) + "\n"


def _render(key: str, value: Any, column: int) -> list[str]:
    return [" " * column + line if line else line for line in _dump({key: value}).splitlines()]
