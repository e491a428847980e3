"""loopback-only: a process of a local stack listens on this machine's loopback address and nowhere else.

A local stack has demo money and generated passwords, and no TLS between its parts. On 0.0.0.0 everybody in the same
network could pay from it, read its ledger and ask Redis for its keys.

Good: `listens: ["127.0.0.1:21044"]`. Bad: `listens: ["0.0.0.0:6379"]`, `listens: ["db.internal:5432"]`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from findings.finding import Severity
from policies.rule import Rule, known, known_items


def _is_loopback(address: str) -> bool:
    host = address.rsplit(":", 1)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # A name is not enough: what it resolves to can change.
        return False


def violations(properties: Mapping[str, Any]) -> Iterator[str]:
    name = known(properties, "process") or "The process"
    for address in known_items(properties, "listens"):
        if not _is_loopback(str(address)):
            yield f"{name} listens on {address}, which is not a loopback address."


RULE = Rule(
    id="loopback-only",
    what="Processes of a local stack listen on the loopback address alone.",
    risk="Anybody in the same network can reach the database, the cache and the wallets.",
    fix="Listen on 127.0.0.1.",
    severity=Severity.CRITICAL,
    requirements=("x4-sec-firewall", "x4-final-firewall", "st-secsetup-firewall"),
    pci="1.4.4",
    resource="Process",
    violations=violations,
)
