"""Grafana dashboards as templates (`*.json.j2`) and the one function that renders them. No resources."""

from __future__ import annotations

import json
from pathlib import Path

import jinja2

from components.kubernetes import alerts
from components.kubernetes.names import APPLICATION, WORKER

FOLDER = Path(__file__).parent


def render_dashboards(stack: str) -> dict[str, str]:
    """Every dashboard as JSON text, by name. Thresholds in panels are the alerts' own.

    Args:
        stack: name of the stack, in titles.
    """
    environment = jinja2.Environment(  # noqa: S701 - JSON, not HTML: `tojson` quotes every value
        loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    rendered = {}
    for template in sorted(FOLDER.glob("*.json.j2")):
        name = template.name.removesuffix(".json.j2")
        text = environment.get_template(template.name).render(
            stack=stack, uid=f"railyard-{stack}-{name}"[:40], alerts=alerts, web=APPLICATION, worker=WORKER
        )
        # Parsed and written anew: a template that is no JSON is found here, and the text is always the same.
        rendered[name] = json.dumps(json.loads(text), indent=1, sort_keys=True)
    return rendered
