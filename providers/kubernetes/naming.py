"""Names of objects that the program gives none: the resource's name and eight random letters, marked as such.

Source: pulumi-kubernetes `provider/pkg/metadata/naming.go`.
"""

from __future__ import annotations

import random
from typing import Any

from providers.base.values import Properties, plain

AUTONAMED = "pulumi.com/autonamed"
LETTERS = 8


def named(inputs: Properties, old: Properties, resource_name: str, seed: bytes) -> Properties:
    """Inputs whose object has a name.

    Args:
        old: the last inputs, {} for a new resource; a name made for them is kept.
        seed: of this resource and its replacement, from the engine; a fresh name when empty.
    """
    metadata = dict(plain_level(inputs.get("metadata")))
    if metadata.get("name") is not None or metadata.get("generateName") is not None:
        return inputs
    if old and is_autonamed(old):
        metadata["name"] = plain(old)["metadata"]["name"]
    else:
        drawn = random.Random(seed) if seed else random.SystemRandom()  # noqa: S311 - a name, no secret
        metadata["name"] = f"{resource_name}-{''.join(drawn.choices('0123456789abcdef', k=LETTERS))}"
    metadata["annotations"] = {**plain_level(metadata.get("annotations")), AUTONAMED: "true"}
    return {**inputs, "metadata": metadata}


def is_autonamed(inputs: Properties) -> bool:
    """Whether the object's name was made here."""
    metadata = plain(inputs).get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return isinstance(annotations, dict) and annotations.get(AUTONAMED) == "true"


def plain_level(value: Any) -> dict[str, Any]:
    """A mapping with its values as they are; {} for what is none yet."""
    unwrapped = getattr(value, "value", value)
    return unwrapped if isinstance(unwrapped, dict) else {}
