"""Aliases of another name, type, parent, project and stack, in all combinations, for resources and what is under them.

The old state is the new one with the URNs that the aliases name: what an update with them finds is what it had.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe

PARTS = ("name", "type", "parent", "project", "stack")
COMBINATIONS = [set(chosen) for count in range(1, len(PARTS) + 1) for chosen in itertools.combinations(PARTS, count)]
SPEC = {
    "name": 'name="old{number}"',
    "type": 'type_="probe:index:Was"',
    "parent": "parent=before",
    "project": 'project="other"',
    "stack": 'stack="former"',
}
PARENTS = """
before = Group("before", kind="probe:index:Before")
"""


def alias(number: int, chosen: set[str]) -> str:
    """Return the alias that says what was different."""
    return f"pulumi.Alias({', '.join(SPEC[part].format(number=number) for part in PARTS if part in chosen)})"


def old_urn(kind: str, name: str, number: int, chosen: set[str]) -> str:
    """Return the URN that the alias of this combination names; of a parent's, stack and project are the parent's."""
    if "parent" in chosen:
        place = "test::conf::probe:index:Before$"
    else:
        place = f"{'former' if 'stack' in chosen else 'test'}::{'other' if 'project' in chosen else 'conf'}::"
    last = f"{'probe:index:Was' if 'type' in chosen else kind}::{f'old{number}' if 'name' in chosen else name}"
    return f"urn:pulumi:{place}{last}"


def rewrite(stack: Stack, renamed: dict[str, str]) -> None:
    """Give resources of the state other URNs, wherever they are named."""
    run = stack.pulumi("stack", "export")
    data: dict[str, Any] = json.loads(run.out)
    before = next(r["urn"] for r in data["deployment"]["resources"] if r["urn"].endswith("::before"))
    for resource in data["deployment"]["resources"]:
        new = renamed.get(resource["urn"])
        for key in ("urn", "parent"):
            if resource.get(key) in renamed:
                resource[key] = renamed[resource[key]]
        if new is not None:
            resource["type"] = new.split("::")[2].rpartition("$")[2]
            if "probe:index:Before$" in new and new.split("::")[2].count("$") == 1:
                resource["parent"] = before
    (stack.folder / "old.json").write_text(json.dumps(data))
    assert stack.pulumi("stack", "import", "--force", "--file", "old.json").code == 0


def test_every_combination_of_what_an_alias_can_say(stack: Stack, probe: Probe) -> None:
    """Each resource is found under what it was; nothing is made, changed or deleted."""
    line = 'Thing("t{n}", value={n}, opts=Opts(aliases=[{aliases}]))\n'
    stack.up(PARENTS + "".join(line.format(n=number, aliases="") for number in range(len(COMBINATIONS))))
    ids = {state["urn"].rpartition("::")[2]: state["id"] for state in stack.states() if state.get("id")}
    urns = {state["urn"].rpartition("::")[2]: state["urn"] for state in stack.states()}
    rewrite(
        stack,
        {
            urns[f"t{number}"]: old_urn("probe:index:Thing", f"t{number}", number, chosen)
            for number, chosen in enumerate(COMBINATIONS)
        },
    )
    probe.forget()
    run = stack.up(
        PARENTS + "".join(line.format(n=n, aliases=alias(n, chosen)) for n, chosen in enumerate(COMBINATIONS))
    )
    assert run.changes == {}
    assert probe.methods() == []
    assert {s["urn"].rpartition("::")[2]: s["id"] for s in stack.states() if s.get("id")} == ids
    stack.settled()


def test_what_is_under_an_aliased_component_is_found_under_its_alias(stack: Stack, probe: Probe) -> None:
    """By every combination: children named after it are renamed with it, and those with an alias of their own, too.

    Their project and stack are those of now: an inherited alias changes neither, with the CLI as well.
    """
    line = (
        'g = Group("g{n}", kind="probe:index:Is", opts=Opts(aliases=[{aliases}]))\n'
        'Thing("g{n}-child", value=1, opts=Opts(parent=g))\n'
        'Thing("own{n}", value=2, opts=Opts(parent=g, aliases=[{own}]))\n'
    )
    numbers = range(len(COMBINATIONS))
    stack.up(PARENTS + "".join(line.format(n=number, aliases="", own="") for number in numbers))
    ids = {state["urn"].rpartition("::")[2]: state["id"] for state in stack.states() if state.get("id")}
    urns = {state["urn"].rpartition("::")[2]: state["urn"] for state in stack.states()}
    renamed = {}
    for number, chosen in enumerate(COMBINATIONS):
        component = old_urn("probe:index:Is", f"g{number}", number, chosen)
        renamed[urns[f"g{number}"]] = component
        under = f"urn:pulumi:test::conf::{component.split('::')[2]}$probe:index:Thing"
        renamed[urns[f"g{number}-child"]] = f"{under}::{component.rpartition('::')[2]}-child"
        renamed[urns[f"own{number}"]] = f"{under}::was-own{number}"
    rewrite(stack, renamed)
    probe.forget()
    program = "".join(
        line.format(n=number, aliases=alias(number, chosen), own=f'pulumi.Alias(name="was-own{number}")')
        for number, chosen in enumerate(COMBINATIONS)
    )
    run = stack.up(PARENTS + program)
    assert run.changes == {}
    assert probe.methods() == []
    assert {s["urn"].rpartition("::")[2]: s["id"] for s in stack.states() if s.get("id")} == ids
    stack.settled()
