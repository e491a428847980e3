"""`stack graph`: a stack's resources, and which of them need which, in the DOT language of Graphviz.

The order of nodes and edges, their names and their attributes are the CLI's (`pkg/graph/dotconv`), so that the files of
both are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulumi_embedded.backend.files import explain
from pulumi_embedded.cli.session import open_session
from pulumi_embedded.errors import EngineError
from pulumi_embedded.urn import urn_name

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context


@dataclass(frozen=True)
class Edge:
    """An edge to another resource; `label` names the properties that it is there for."""

    to: str
    color: str
    label: str = ""

    def attributes(self) -> str:
        """Return the edge's attributes as DOT writes them, "" without any."""
        found = [
            f'{key} = "{_quoted(value)}"' for key, value in (("color", self.color), ("label", self.label)) if value
        ]
        return f" [{', '.join(found)}]" if found else ""


def _quoted(text: str) -> str:
    return text.replace('"', '\\"')


def edges(resources: list[dict[str, Any]], *, dependency_color: str | None, parent_color: str | None) -> dict[str, Any]:
    """Return each resource's outgoing edges: to what depends on it, and to its parent; None leaves a kind out."""
    by_urn = {str(resource["urn"]): resource for resource in resources}
    found: dict[str, list[Edge]] = {urn: [] for urn in by_urn}
    for resource in resources:
        urn = str(resource["urn"])
        resource = by_urn[urn]  # of two with one URN, a replacement under way, the last stands for both
        if dependency_color is not None:
            properties = sorted((resource.get("propertyDependencies") or {}).items())
            for needed in resource.get("dependencies") or []:
                label = ", ".join(key for key, urns in properties for other in urns or [] if other == needed)
                found[needed].append(Edge(urn, dependency_color, label))
        if parent_color is not None and resource.get("parent"):
            found[urn].append(Edge(str(resource["parent"]), parent_color))
    return found


def dot(
    resources: list[dict[str, Any]], outgoing: dict[str, list[Edge]], *, short: bool, fragment: str
) -> Iterator[str]:
    """Yield the lines of the graph; `short` labels nodes with names, `fragment` is DOT text for its head."""
    numbers: dict[str, int] = {}

    def node(urn: str) -> str:
        return f"    Resource{numbers.setdefault(urn, len(numbers))}"

    yield "strict digraph {\n"
    if fragment:
        yield fragment + "\n"
    for urn in sorted({str(resource["urn"]) for resource in resources}):
        name = node(urn)
        yield f'{name} [label="{_quoted(urn_name(urn) if short else urn)}"];\n'
        for edge in outgoing[urn]:
            yield f"{name} -> {node(edge.to).strip()}{edge.attributes()};\n"
    yield "}\n"


def graph(context: Context) -> int:
    """`stack graph`."""
    flags, session = context.flags, open_session(context)
    if session.current.checkpoint.deployment is None and not session.current.folded:
        raise EngineError(f"stack '{session.name.stack}' has no state to draw yet")
    session.check_integrity()
    resources = session.current.deployment.resources
    outgoing = edges(
        resources,
        dependency_color=None if flags.on("ignore-dependency-edges") else flags.text("dependency-edge-color"),
        parent_color=None if flags.on("ignore-parent-edges") else flags.text("parent-edge-color"),
    )
    name = flags.arguments[0]
    lines = dot(resources, outgoing, short=flags.on("short-node-name"), fragment=flags.text("dot-fragment"))
    try:
        with Path(context.folder / name).open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise EngineError(f"{name} cannot be written: {explain(error)}") from None
    context.note(f"Wrote stack dependency graph to `{name}`")
    return 0
