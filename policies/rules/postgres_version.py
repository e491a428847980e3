"""postgres-version: the ledger's database is a PostgreSQL that still gets fixes.

The guides ask for 14 and for 16; cloud stacks run 16. A local stack takes the one on PATH from 15 on, or the 16 that a
wheel brings: statement-level triggers with transition tables and SCRAM, which the ledger needs, are in all of them.

Good: `version: "16.2"`. Bad: `version: "13.9"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from findings.finding import Severity
from policies.rule import Rule, known

MINIMUM_MAJOR = 15


def violations(properties: Mapping[str, Any]) -> Iterator[str]:
    version = known(properties, "version")
    if version is None:
        return
    major = re.match(r"\d+", str(version))
    if major is None:
        yield f"The database's version {version!r} is not a version of PostgreSQL."
    elif int(major.group()) < MINIMUM_MAJOR:
        yield f"The database is PostgreSQL {version}; {MINIMUM_MAJOR} is the oldest that is allowed."


RULE = Rule(
    id="postgres-version",
    what=f"PostgreSQL is {MINIMUM_MAJOR} or newer.",
    risk="A server without security fixes holds the ledger.",
    fix="Put a newer PostgreSQL on PATH, or none: the bundled one is used then.",
    severity=Severity.HIGH,
    requirements=("tn-sys-postgres-14", "x4-pre-postgres-16"),
    pci="6.3.3",
    resource="PostgresCluster",
    violations=violations,
)
