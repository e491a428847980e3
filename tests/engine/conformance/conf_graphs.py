"""Random programs, each in two versions: the second changes, drops, adds and replaces what the first made."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace


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
        opts = f"opts=Opts({', '.join(options)})"
        if self.kind == "Group":
            return f'{self.name} = Group("{self.name}", {opts})'
        values = [f"value={self.value}"]
        values += [f"in{at}={name}.out" for at, name in enumerate(self.inputs)]
        if self.replacing:
            values.append('replaceKeys=["value"]')
        if self.delete_first:
            values.append("deleteFirst=True")
        return f'{self.name} = Thing("{self.name}", {", ".join(values)}, {opts})'


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
