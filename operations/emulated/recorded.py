"""What of a stack its emulated account does not have, or does not tell again: "recorded, not emulated"."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

Lacking = dict[str, dict[str, str]]
"""Type -> property ("*" for the whole type) -> why."""
WHOLE = "*"
UNTAKEN = "no operation of the emulated account takes it"
COLUMNS, NO_BREAK = 80, "\N{NO-BREAK SPACE}"


def recorded_of(resources: Iterable[Mapping[str, Any]], lacking: Mapping[str, Mapping[str, str]]) -> Lacking:
    """What these resources ask for and the account lacks.

    Args:
        resources: as the state has them.
        lacking: of every type, used here or not.
    """
    found: Lacking = {}
    for resource in resources:
        reasons = lacking.get(resource["type"], {})
        given = {WHOLE} & set(reasons)
        inputs = resource.get("inputs") or {}
        # A default, or what is empty or false, asks for nothing that could be missed.
        silent = {*(inputs.get("__defaults") or []), *(name for name, value in inputs.items() if not value)}
        given |= {name for name in reasons if name in inputs} - silent
        # What the provider itself found that no operation took, at any depth.
        given |= set((resource.get("outputs") or {}).get("__recorded") or [])
        if given:
            found.setdefault(resource["type"], {}).update({name: reasons.get(name, UNTAKEN) for name in given})
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def summary(recorded: Lacking, stack: str) -> list[str]:
    """The few lines that `up` ends with: by service, what of which type and how much of it; `listing` has each."""
    if not recorded:
        return []
    types: dict[str, list[str]] = {}
    for name, reasons in recorded.items():
        own = name.rpartition(":")[2]
        types.setdefault(_service(name), []).append(
            f"{own}{NO_BREAK}(all)" if WHOLE in reasons else f"{own}{NO_BREAK}{len(reasons)}"
        )
    properties = sum(len(reasons) for reasons in recorded.values())
    width = max(map(len, types)) + 4
    lines = [f"recorded, not emulated: {properties} properties of {len(recorded)} types. The state keeps them, the"]
    lines += ["account drops them or does not tell them again, so no drift of theirs is seen."]
    for service, members in types.items():
        lines += textwrap.wrap(
            ", ".join(members),
            COLUMNS,
            initial_indent=f"  {service}".ljust(width),
            subsequent_indent=" " * width,
        )
    lines = [line.replace(NO_BREAK, " ") for line in lines]
    return [*lines, f"  each by its name, and why: ./railyard status {stack} --recorded"]


def listing(recorded: Lacking) -> list[str]:
    """All of it: each type with its properties, and why."""
    if not recorded:
        return ["Nothing of this stack is recorded only: its account has it all."]
    lines = []
    for name, reasons in recorded.items():
        lines.append(name)
        for key, why in reasons.items():
            said = "the whole type" if key == WHOLE else key
            lines += textwrap.wrap(
                f"{said}: {why}", COLUMNS, initial_indent="  ", subsequent_indent="      ", break_long_words=False
            )
    return lines


def _service(name: str) -> str:
    """Such as "rds" of aws:rds/instance:Instance, "docker" of docker:index/image:Image."""
    package, module, _ = name.split(":")
    service = module.partition("/")[0]
    return service if package == "aws" else package
