"""Resource names (URNs) and provider references: taking them apart and putting them together.

A URN is `urn:pulumi:<stack>::<project>::<parent type$...$type>::<name>`; a provider reference is its `<URN>::<id>`.
Source: pulumi `sdk/go/common/resource/urn/urn.go`.
"""

from __future__ import annotations

PREFIX = "urn:pulumi:"
NAME_DELIMITER = "::"
TYPE_DELIMITER = "$"
ROOT_STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_TYPE_PREFIX = "pulumi:providers:"


def make_urn(stack: str, project: str, parent_type: str, resource_type: str, name: str) -> str:
    """Return the URN of a resource; `parent_type` is the parent's qualified type, empty for a root resource."""
    qualified = resource_type
    if parent_type and parent_type != ROOT_STACK_TYPE:
        qualified = parent_type + TYPE_DELIMITER + resource_type
    return f"{PREFIX}{stack}{NAME_DELIMITER}{project}{NAME_DELIMITER}{qualified}{NAME_DELIMITER}{name}"


def is_urn(text: str) -> bool:
    """Say whether `text` has the form of a URN."""
    return text.startswith(PREFIX) and text.count(NAME_DELIMITER) >= 3


def _component(urn: str, index: int) -> str:
    parts = urn.removeprefix(PREFIX).split(NAME_DELIMITER, 3)
    return parts[index] if index < len(parts) else ""


def urn_stack(urn: str) -> str:
    """Return the stack's name in a URN."""
    return _component(urn, 0)


def urn_project(urn: str) -> str:
    """Return the project's name in a URN."""
    return _component(urn, 1)


def urn_qualified_type(urn: str) -> str:
    """Return the type with the types of its parents, `a:b:C$d:e:F`."""
    return _component(urn, 2)


def urn_type(urn: str) -> str:
    """Return the resource's own type."""
    return _component(urn, 2).rpartition(TYPE_DELIMITER)[2]


def urn_name(urn: str) -> str:
    """Return the resource's logical name, which may itself hold `::`."""
    return _component(urn, 3)


def rename_urn(urn: str, *, stack: str | None = None, project: str | None = None, name: str | None = None) -> str:
    """Return `urn` with another stack, project or resource name."""
    if not is_urn(urn):
        return urn
    return NAME_DELIMITER.join(
        [
            PREFIX + (stack if stack is not None else urn_stack(urn)),
            project if project is not None else urn_project(urn),
            urn_qualified_type(urn),
            name if name is not None else urn_name(urn),
        ]
    )


def is_provider_type(resource_type: str) -> bool:
    """Say whether a type is that of a provider resource."""
    return resource_type.startswith(PROVIDER_TYPE_PREFIX)


def provider_reference(urn: str, provider_id: str) -> str:
    """Return the reference that a resource's state keeps of its provider."""
    return f"{urn}{NAME_DELIMITER}{provider_id}"


def split_provider_reference(reference: str) -> tuple[str, str]:
    """Return the provider's URN and id.

    Raises:
        ValueError: the text is no provider reference.
    """
    urn, delimiter, provider_id = reference.rpartition(NAME_DELIMITER)
    if not delimiter or not is_urn(urn):
        raise ValueError(f"'{reference}' is not a provider reference (<urn>::<id>)")
    return urn, provider_id
