"""Every setting as rows, for Pulumi.yaml, the documentation and its tests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from components.settings.problems import NAMESPACE, namespaced
from components.settings.stack import Settings


def describe(model: type[BaseModel] = Settings, prefix: str = "") -> list[tuple[str, str, str, str]]:
    """Every plain key as (key, type, default, description), for documentation."""
    rows = []
    for name, field in model.model_fields.items():
        alias, annotation = field.alias or name, field.annotation
        key = prefix + alias if prefix else namespaced(alias)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            rows += describe(annotation, f"{key}.")
            continue
        default = "generated" if key == f"{NAMESPACE}:solanaPayTo" else _shown(field.default)
        rows.append((key, kind_of(annotation), default, field.description or ""))
    return rows


def kind_of(annotation: Any) -> str:
    """The word for a type: str, int, list, or its values with bars between."""
    if isinstance(annotation, type) and not getattr(annotation, "__args__", ()):
        return annotation.__name__
    if getattr(annotation, "__origin__", None) is tuple:
        return "list"
    return " | ".join(map(str, annotation.__args__))


def _shown(default: Any) -> str:
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
