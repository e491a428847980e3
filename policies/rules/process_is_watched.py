"""process-is-watched: every process has a ready check and a log.

Without a ready check an update says "done" while the service refuses connections; without a log nobody can say why.

Good: `ready: {"kind": "http", "address": "127.0.0.1:21044", "path": "/ready"}, log: "/.../logs/web-blue.log"`.
Bad: no `ready`, a `ready` of an unknown kind, no `log`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from findings.finding import Severity
from policies.rule import Rule, is_unknown, known

# Those that components/local/readiness.py can carry out.
KINDS = ("tcp", "http", "https", "postgres")


def violations(properties: Mapping[str, Any]) -> Iterator[str]:
    name = known(properties, "process") or "The process"
    ready = known(properties, "ready") or {}
    unknown = is_unknown(properties, "ready") or is_unknown(ready, "kind")
    if not unknown and known(ready, "kind") not in KINDS:
        yield f"{name} has no ready check of a kind that works ({', '.join(KINDS)})."
    if not is_unknown(properties, "log") and not known(properties, "log"):
        yield f"{name} has no log."


RULE = Rule(
    id="process-is-watched",
    what="Every process has a ready check and a log.",
    risk="An update reports success while the service is down, and nobody can say why.",
    fix="Give it `ready` and `log`.",
    severity=Severity.MEDIUM,
    requirements=("pk-check-logging-monitoring", "x4-log-stdout"),
    pci="10.2.1",
    resource="Process",
    violations=violations,
)
