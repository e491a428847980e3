"""`stack`: what a stack is and holds, at a glance."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from pulumi_embedded.cli.about import wants_json
from pulumi_embedded.cli.session import Session, open_session
from pulumi_embedded.cli.stack_data import output_table, stack_outputs
from pulumi_embedded.cli.table import ago, go_time, table
from pulumi_embedded.urn import urn_name

if TYPE_CHECKING:
    from pulumi_embedded.cli.context import Context


def show(context: Context) -> int:
    """Print the stack's last update, its resources as a tree and its outputs."""
    if context.flags.on("show-name"):
        context.print(context.shown_name(context.stack_name()))
        return 0
    session = open_session(context)
    outputs = stack_outputs(session, show_secrets=context.flags.on("show-secrets"))
    if wants_json(context):
        _print_json(context, session, outputs)
        return 0
    deployment = session.current.deployment
    context.print(f"Current stack is {context.shown_name(session.name)}:")
    context.print(f"    Managed by {socket.gethostname()}")
    updated = str(deployment.manifest.get("time") or "")
    if updated:
        context.print(f"    Last updated: {ago(updated)} ({go_time(updated)})")
        context.print(f"    Pulumi version used: {deployment.manifest.get('version', '')}")
    if session.current.folded:
        context.print("    The last update was interrupted: what it did is shown, and the next update records it")
    resources = deployment.resources
    context.print(f"Current stack resources ({len(resources)}):")
    if resources:
        context.print(table(_tree(context, resources), "    "))
    else:
        context.print("    No resources currently in this stack")
    if outputs:
        context.print()
        context.print(output_table(outputs))
    context.print("\nUse `pulumi stack select` to change stack; `pulumi stack ls` lists known ones")
    return 0


def _tree(context: Context, resources: list[dict[str, Any]]) -> list[list[str]]:
    children: dict[str, list[dict[str, Any]]] = {}
    names = {str(resource["urn"]) for resource in resources}
    roots = []
    for resource in resources:
        parent = resource.get("parent")
        if parent and parent in names:
            children.setdefault(parent, []).append(resource)
        else:
            roots.append(resource)
    rows = [["TYPE", "NAME"]]

    def walk(resource: dict[str, Any], prefix: str, own: str) -> None:
        urn = str(resource["urn"])
        rows.append([own + str(resource["type"]), urn_name(urn)])
        inner = sorted(children.get(urn, []), key=lambda item: str(item["urn"]))
        more = prefix + ("│  " if inner else "   ")
        if context.flags.on("show-urns"):
            rows.append([more + f"URN: {urn}"])
        if context.flags.on("show-ids") and resource.get("id"):
            rows.append([more + f"ID: {resource['id']}"])
        for number, child in enumerate(inner, 1):
            last = number == len(inner)
            walk(child, prefix + ("   " if last else "│  "), prefix + ("└─ " if last else "├─ "))

    # The root stack's parentless companions (default providers) hang below it, as the CLI shows them.
    root = next((resource for resource in roots if resource.get("type") == "pulumi:pulumi:Stack"), None)
    if root is not None:
        children.setdefault(str(root["urn"]), []).extend(resource for resource in roots if resource is not root)
        roots = [root]
    for resource in roots:
        walk(resource, "", "")
    return rows


def _print_json(context: Context, session: Session, outputs: dict[str, Any]) -> None:
    deployment = session.current.deployment
    context.print_json(
        {
            "name": context.shown_name(session.name),
            "lastUpdate": deployment.manifest.get("time"),
            "resources": [
                {key: resource[key] for key in ("urn", "type", "id", "parent") if resource.get(key)}
                for resource in deployment.resources
            ],
            "outputs": outputs,
        }
    )
