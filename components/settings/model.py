"""The base of every group of settings, and what a setting says beside its type: its platforms, whether it must be."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

CLOUD = ("ecs", "kubernetes")
EVERYWHERE = ("local", *CLOUD)


class Model(BaseModel):
    """Settings in snake_case here, in camelCase in the files; what is unknown is refused; nothing changes later."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def whole_number(value: Any) -> Any:
    """The number that a text of digits is: engines hand values over as text, which a Literal takes as it comes."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def setting(
    default: Any,
    description: str,
    *,
    platforms: tuple[str, ...] = EVERYWHERE,
    required: bool = False,
    wanted: str = "",
    **constraints: Any,
) -> Any:
    """A setting.

    Args:
        default: its value when it is not set.
        description: a sentence, with the unit.
        platforms: those that read it; on another, a value that differs from the default is refused.
        required: whether an empty value is refused on those platforms.
        wanted: what a value must look like, for patterns: "a base58 address of 32 to 44 characters".
        constraints: pydantic's `ge`, `le`, `pattern`.
    """
    extra: dict[str, Any] = {"platforms": list(platforms), "required": required, "wanted": wanted}
    # The emptiness of a setting that another platform requires is no breach of its pattern.
    if "pattern" in constraints and default == "":
        constraints["pattern"] = f"^$|{constraints['pattern']}"
    return Field(default=default, description=description, json_schema_extra=extra, **constraints)
