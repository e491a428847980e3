"""Random programs, each in two versions: the second changes, drops, adds, renames and replaces what the first made.

`versions` makes them from a seed, `edited_graphs` is the same for hypothesis, which shrinks what fails.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True)
class Node:
    """One resource of a random program; what it needs are nodes before it."""

    name: str
    kind: str
    value: int
    replacing: bool
    delete_first: bool
    inputs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    parent: str = ""
    deleted_with: str = ""
    secret: bool = False
    label: str = ""
    alias: str = ""

    @property
    def resource(self) -> str:
        """The resource's name; the node's own is that of the program's variable."""
        return self.label or self.name

    @property
    def needs(self) -> set[str]:
        """The nodes that must exist before this one."""
        return {*self.inputs, *self.after, self.parent, self.deleted_with} - {""}

    def text(self) -> str:
        """Return the statement that registers it."""
        options = []
        if self.after:
            options.append(f"depends_on=[{', '.join(self.after)}]")
        if self.parent:
            options.append(f"parent={self.parent}")
        if self.deleted_with:
            options.append(f"deleted_with={self.deleted_with}")
        if self.alias:
            options.append(f'aliases=[pulumi.Alias(name="{self.alias}")]')
        opts = f"opts=Opts({', '.join(options)})"
        if self.kind == "Group":
            return f'{self.name} = Group("{self.resource}", {opts})'
        values = [f"value=pulumi.Output.secret({self.value})" if self.secret else f"value={self.value}"]
        values += [f"in{at}={name}.out" for at, name in enumerate(self.inputs)]
        if self.replacing:
            values.append('replaceKeys=["value"]')
        if self.delete_first:
            values.append("deleteFirst=True")
        return f'{self.name} = Thing("{self.resource}", {", ".join(values)}, {opts})'


@dataclass
class Graph:
    """A random program."""

    nodes: list[Node] = field(default_factory=list)

    @property
    def program(self) -> str:
        """Its text."""
        return "\n".join(node.text() for node in self.nodes)

    @property
    def things(self) -> set[str]:
        """The names of its custom resources."""
        return {node.name for node in self.nodes if node.kind == "Thing"}

    def needs(self, name: str) -> set[str]:
        """Return the custom resources that must exist before `name`."""
        node = next(node for node in self.nodes if node.name == name)
        return node.needs & self.things


def versions(seed: int, size: int = 10) -> tuple[Graph, Graph]:
    """Return two versions of a random program."""
    dice = random.Random(seed)
    first = Graph()
    for at in range(size):
        first.nodes.append(_node(dice, f"n{at}", first))
    second = Graph()
    for node in first.nodes:
        if dice.random() < 0.2:
            continue
        kept = {other.name for other in second.nodes}
        node = replace(
            node,
            inputs=tuple(name for name in node.inputs if name in kept),
            after=tuple(name for name in node.after if name in kept),
            parent=node.parent if node.parent in kept else "",
            deleted_with=node.deleted_with if node.deleted_with in kept else "",
            value=node.value + (dice.random() < 0.5),
        )
        second.nodes.append(node)
        if dice.random() < 0.2:
            second.nodes.append(_node(dice, f"new{node.name}", second))
    return first, second


def _node(dice: random.Random, name: str, graph: Graph) -> Node:
    earlier = [node.name for node in graph.nodes]
    things = [node.name for node in graph.nodes if node.kind == "Thing"]
    return Node(
        name,
        "Group" if dice.random() < 0.15 else "Thing",
        dice.randrange(3),
        replacing=dice.random() < 0.4,
        delete_first=dice.random() < 0.3,
        inputs=tuple(dice.sample(things, min(len(things), dice.choice((0, 0, 1, 2))))),
        after=tuple(dice.sample(things, min(len(things), dice.choice((0, 0, 0, 1, 2))))),
        parent=dice.choice(earlier) if earlier and dice.random() < 0.25 else "",
        deleted_with=dice.choice(things) if things and dice.random() < 0.1 else "",
    )


@st.composite
def edited_graphs(draw: Any, most: int = 7) -> list[Graph]:
    """A program of at most `most` resources, and one or two edits of it."""
    graph = Graph()
    for at in range(draw(st.integers(1, most))):
        graph.nodes.append(draw(_nodes(f"n{at}", graph)))
    found = [graph]
    for edit in range(draw(st.integers(1, 2))):
        found.append(draw(_edits(found[-1], edit)))
    return found


@st.composite
def _nodes(draw: Any, name: str, graph: Graph) -> Node:
    earlier = [node.name for node in graph.nodes]
    things = [node.name for node in graph.nodes if node.kind == "Thing"]
    some = st.lists(st.sampled_from(things), max_size=2, unique=True).map(tuple) if things else st.just(())
    return Node(
        name,
        draw(st.sampled_from(["Thing", "Thing", "Thing", "Thing", "Group"])),
        draw(st.integers(0, 2)),
        replacing=draw(st.booleans()),
        delete_first=draw(st.booleans()),
        inputs=draw(some),
        after=draw(some),
        parent=draw(st.sampled_from(["", "", "", *earlier])),
        secret=draw(st.booleans()),
    )


@st.composite
def _edits(draw: Any, graph: Graph, edit: int) -> Graph:
    changed = Graph()
    for node in graph.nodes:
        what = draw(st.sampled_from(["keep", "change", "change", "drop", "rename", "reveal"]))
        if what == "drop":
            continue
        kept = {other.name for other in changed.nodes}
        node = replace(
            node,
            inputs=tuple(name for name in node.inputs if name in kept),
            after=tuple(name for name in node.after if name in kept),
            parent=node.parent if node.parent in kept else "",
            alias="",
        )
        if what == "change":
            node = replace(node, value=node.value + 1)
        elif what == "rename":
            node = replace(node, label=f"{node.name}x{edit}", alias=node.resource)
        elif what == "reveal":
            node = replace(node, secret=not node.secret)
        changed.nodes.append(node)
        if draw(st.integers(0, 5)) == 0:
            changed.nodes.append(draw(_nodes(f"new{edit}{node.name}", changed)))
    return changed
