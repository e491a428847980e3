"""The tags that every resource in a cloud carries: one place says which, and components refuse to be without them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from components.arguments import ArgumentError

REQUIRED = ("project", "stack", "environment", "owner", "cost-center", "managed-by")
_VALUE = re.compile(r"[A-Za-z0-9 _.:/=+@-]{1,256}")


def stack_tags(*, project: str, stack: str, environment: str, owner: str, cost_center: str) -> dict[str, str]:
    """The required tags of a stack.

    Args:
        project, stack: of Pulumi.
        environment: staging or production.
        owner: team or person that answers for the stack.
        cost_center: whom the bill goes to.
    """
    return {
        "project": project,
        "stack": stack,
        "environment": environment,
        "owner": owner,
        "cost-center": cost_center,
        "managed-by": "pulumi",
    }


def check_tags(component: str, tags: Mapping[str, str]) -> None:
    """Refuse tags that miss a required one or hold what AWS does not take.

    Raises:
        ArgumentError: of `component`'s key `tags`.
    """
    missing = [key for key in REQUIRED if not tags.get(key)]
    if missing:
        fix = "Make them with components.tags.stack_tags."
        raise ArgumentError(component, "tags", f"misses {', '.join(missing)}", fix)
    for key, value in tags.items():
        if not _VALUE.fullmatch(value):
            fix = "Use 1 to 256 letters, digits, spaces and _.:/=+@- in each."
            raise ArgumentError(component, "tags", f"has {key}={value!r}, which AWS refuses", fix)


def named(tags: Mapping[str, str], name: str) -> dict[str, str]:
    """The tags of one resource, with the name that the console shows."""
    return {**tags, "Name": name}
