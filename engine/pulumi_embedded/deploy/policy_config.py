"""The configuration of a policy pack: enforcement levels and properties per policy, defaults filled in, checked.

Source: pulumi `pkg/resource/analyzer/config.go`. JSON Schema is checked as far as policy packs use it: types, enums,
bounds, lengths, patterns, required properties and items.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi_embedded.errors import EngineError

LEVELS = ("advisory", "mandatory", "remediate", "disabled")

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "array": list,
    "object": dict,
    "null": type(None),
}


@dataclass
class PolicySettings:
    """The level and the properties of one policy; an empty level keeps the policy's own."""

    level: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class PolicySchema:
    """What a policy says of its configuration."""

    name: str
    level: str
    properties: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)


def read_config_file(path: Path) -> dict[str, PolicySettings]:
    """Read the file given with `--policy-pack-config`.

    Raises:
        EngineError: it cannot be read, or says something that is no configuration.
    """
    try:
        text = path.read_text()
        loaded = json.loads(text) if text.strip() else {}
    except (OSError, ValueError) as error:
        raise EngineError(f"the policy pack configuration {path} cannot be read: {error}") from None
    if not isinstance(loaded, dict):
        raise EngineError(f"the policy pack configuration {path} is not a JSON object")
    loaded.pop("environments", None)
    settings: dict[str, PolicySettings] = {}
    for name, value in loaded.items():
        given = {"enforcementLevel": value} if isinstance(value, str) else value
        if not isinstance(given, dict):
            raise EngineError(
                f"the policy pack configuration {path} has a wrong value for '{name}': give a level or an object"
            )
        properties = dict(given)
        level = properties.pop("enforcementLevel", "")
        if level and level not in LEVELS:
            raise EngineError(
                f"the policy pack configuration {path} has the unknown enforcement level '{level}' for '{name}': "
                f"use {', '.join(LEVELS)}"
            )
        if level or properties:
            settings[name] = PolicySettings(level, properties)
    return settings


def reconcile(
    policies: list[PolicySchema], *layers: dict[str, PolicySettings] | None
) -> tuple[dict[str, PolicySettings], list[str]]:
    """Return the settings of every policy, later layers over earlier over defaults, and what is wrong with them."""
    result = {
        policy.name: PolicySettings(
            policy.level,
            {
                key: schema["default"]
                for key, schema in policy.properties.items()
                if isinstance(schema, dict) and "default" in schema
            },
        )
        for policy in policies
    }
    for layer in layers:
        _apply(result, layer or {})
    problems = []
    for policy in policies:
        values = result[policy.name].properties
        problems += [f"{policy.name}: {key} is required" for key in policy.required if key not in values]
        for key, schema in policy.properties.items():
            if key in values and isinstance(schema, dict):
                problems += [f"{policy.name}: {problem}" for problem in _problems(key, values[key], schema)]
    return result, problems


def _apply(result: dict[str, PolicySettings], layer: dict[str, PolicySettings]) -> None:
    everything = layer.get("all")
    if everything is not None and everything.level:
        for settings in result.values():
            settings.level = everything.level
    for name, given in layer.items():
        settings = result.setdefault(name, PolicySettings())
        settings.level = given.level or settings.level
        settings.properties = {**settings.properties, **given.properties}


def _problems(path: str, value: Any, schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    if kinds and not any(_is_a(value, kind) for kind in kinds):
        return [f"{path}: Invalid type. Expected: {'/'.join(kinds)}, given: {type(value).__name__}"]
    if "enum" in schema and value not in schema["enum"]:
        return [
            f"{path}: {path} must be one of the following: {', '.join(json.dumps(item) for item in schema['enum'])}"
        ]
    problems = []
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            problems.append(f"{path}: Must be greater than or equal to {schema['minimum']}")
        if "maximum" in schema and value > schema["maximum"]:
            problems.append(f"{path}: Must be less than or equal to {schema['maximum']}")
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            problems.append(f"{path}: String length must be greater than or equal to {schema['minLength']}")
        if "maxLength" in schema and len(value) > schema["maxLength"]:
            problems.append(f"{path}: String length must be less than or equal to {schema['maxLength']}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            problems.append(f"{path}: Does not match pattern '{schema['pattern']}'")
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            problems.append(f"{path}: Array must have at least {schema['minItems']} items")
        for index, item in enumerate(value):
            problems += _problems(f"{path}.{index}", item, schema.get("items") or {})
    if isinstance(value, dict):
        problems += [f"{path}: {key} is required" for key in schema.get("required") or [] if key not in value]
        for key, inner in (schema.get("properties") or {}).items():
            if key in value:
                problems += _problems(f"{path}.{key}", value[key], inner)
    return problems


def _is_a(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, object))
